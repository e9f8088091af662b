/** What a virtual card has counted since it was made, whatever the host has read and so cleared. */
import { REG } from '../../driver/ixgbe/registers.ts'
import type { VirtualCard } from './virtual-card.ts'

/** Seen from the host: RX is what reached its memory. Bytes without FCS. */
export interface CardTotals {
  readonly rx: { readonly packets: number; readonly bytes: number }
  readonly tx: { readonly packets: number; readonly bytes: number }
  /** Frames that came and didn't reach the host, and packets of the host that couldn't be sent, by cause. */
  readonly dropped: Readonly<Record<string, number>>
}

/** Complete between two polls of the device. */
export function totalsOf({ statistics, receive, transmit }: VirtualCard): CardTotals {
  return {
    rx: { packets: statistics.total(REG.RXDGPC), bytes: statistics.total(REG.RXDGBCL) },
    // By the DMA's counter: PAUSE frames of the MAC's own are nothing that the host has sent.
    tx: { packets: statistics.total(REG.TXDGPC), bytes: statistics.total(REG.TXDGBCL) },
    dropped: {
      missed: statistics.total(REG.MPC),
      no_descriptor: statistics.total(REG.QPRDC),
      undersize: statistics.total(REG.RUC),
      oversize: statistics.total(REG.ROC),
      mac_control: receive.mac.control,
      filtered: receive.filtered,
      not_listening: receive.unheard,
      rx_buffered: receive.forgotten,
      tx_invalid: transmit.invalid,
    },
  }
}
