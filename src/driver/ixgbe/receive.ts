import type { RegisterFile } from '../intel/register-file.ts'
import { put } from '../intel/register.ts'
import { REG } from './registers.ts'
import { disableQueues } from '../intel/queue-setup.ts'
import { DEFAULT_MTU, FCS_BYTES, HEADER_BYTES } from '../../packet/ethernet.ts'
import { sleepMilliseconds } from '../../linux/clock.ts'

/** RXPBSIZE of packet buffer 0 when it is the only one: all 512 KiB (82599 §8.2.3.8.9). */
const ALL_OF_THE_PACKET_BUFFER = 512
/** Frames and VLAN tags the MAC accepts without jumbo frames, FCS included (82599 §8.2.3.22.13). */
const STANDARD_FRAME = HEADER_BYTES + DEFAULT_MTU + FCS_BYTES
/** How long the security block may take to empty its receive path, milliseconds; as long as Linux's ixgbe waits. */
const SECURITY_PATH_DEADLINE = 40

/**
 * Sets the receive path up, all but the queues (82599 §4.6.7). Reception is off afterwards. `maxFrame`: the largest to accept,
 * bytes with FCS, without VLAN tag.
 */
export function initReceive(regs: RegisterFile, maxFrame: number): void {
  regs.modify(REG.RXCTRL, { clear: REG.RXCTRL.fields.RXEN.mask })

  // One traffic class, no virtualisation: packet buffer 0 gets all there is (§4.6.11.3.4).
  regs.write(REG.RXPBSIZE, put(REG.RXPBSIZE.fields.SIZE, ALL_OF_THE_PACKET_BUFFER), 0)
  for (let i = 1; i < REG.RXPBSIZE.count; i++) regs.write(REG.RXPBSIZE, 0, i)

  // The MAC strips the FCS; both registers must agree (§8.2.3.22.8). RSCFRSTSIZE, RSCACKC and FCOE_WRFIX have the
  // values that §8.2.3.8.8 asks for, which are not the values after a reset.
  const { CRCSTRIP, RSCFRSTSIZE, RSCACKC, FCOE_WRFIX } = REG.RDRXCTL.fields
  regs.modify(REG.HLREG0, { set: REG.HLREG0.fields.RXCRCSTRP.mask })
  regs.modify(REG.RDRXCTL, { set: CRCSTRIP.mask | RSCACKC.mask | FCOE_WRFIX.mask, clear: RSCFRSTSIZE.mask })

  const { JUMBOEN } = REG.HLREG0.fields
  if (maxFrame > STANDARD_FRAME) {
    regs.write(REG.MAXFRS, put(REG.MAXFRS.fields.MFS, maxFrame))
    regs.modify(REG.HLREG0, { set: JUMBOEN.mask })
  } else {
    regs.modify(REG.HLREG0, { clear: JUMBOEN.mask })
  }

  // A forwarder wants every packet, whomever it is for. FCTRL may only change while reception is off (§8.2.3.7.1).
  const { BAM, MPE, UPE } = REG.FCTRL.fields
  regs.write(REG.FCTRL, BAM.mask | MPE.mask | UPE.mask)
  regs.modify(REG.VLNCTRL, { clear: REG.VLNCTRL.fields.VFE.mask })

  // Flow control stays off, as the reset leaves it (FCCFG, MFLCN): docs/virtual-nic.md says why.

  // The last sentence of §4.6.7, the part for the whole card; prepareReceiveQueue() has the other.
  regs.modify(REG.CTRL_EXT, { set: REG.CTRL_EXT.fields.NS_DIS.mask })
}

/** What this card wants of a queue before it is started. `stripVlan`: it takes VLAN tags out of packets (82599 §8.2.3.8.6). */
export function prepareReceiveQueue(regs: RegisterFile, queue: number, stripVlan: boolean): void {
  regs.modify(REG.DCA_RXCTRL, { clear: REG.DCA_RXCTRL.fields.MUST_BE_ZERO.mask }, queue)
  if (stripVlan) regs.modify(REG.RXDCTL, { set: REG.RXDCTL.fields.VME.mask }, queue)
}

/**
 * Lets packets in. The rings must be armed: what finds no descriptor is lost.
 *
 * A packet that is on its way while RXEN is set can hang the card's receive DMA. So the path through the security block,
 * which all packets take, is closed and empty at that moment (82599 §4.6.7). Linux's ixgbe and DPDK do the same, and go on
 * as we do if the block never says that it is empty: with no packet on its way nothing is lost by that.
 */
export function enableReceive(regs: RegisterFile, warn: (message: string) => void): void {
  const { RX_DIS } = REG.SECRXCTRL.fields
  const { SECRX_RDY } = REG.SECRXSTAT.fields
  regs.modify(REG.SECRXCTRL, { set: RX_DIS.mask })
  if (!regs.comesTo(REG.SECRXSTAT, SECRX_RDY.mask, true, { deadline: SECURITY_PATH_DEADLINE }))
    warn(
      `the security block didn't empty its receive path within ${SECURITY_PATH_DEADLINE} ms (SECRXSTAT.SECRX_RDY, 82599 §${REG.SECRXSTAT.section}); going on without. If nothing is received, start again`,
    )
  regs.modify(REG.RXCTRL, { set: REG.RXCTRL.fields.RXEN.mask })
  regs.modify(REG.SECRXCTRL, { clear: RX_DIS.mask })
}

export function disableReceive(regs: RegisterFile): void {
  regs.modify(REG.RXCTRL, { clear: REG.RXCTRL.fields.RXEN.mask })
}

/** Disables the first `count` queues and waits until no write to their rings or buffers is under way (82599 §4.6.7.1.2). */
export function stopReceiveQueues(regs: RegisterFile, count: number): void {
  disableQueues(regs, REG.RXDCTL, count)
  // "software should wait an additional amount of time (~100 µs) before releasing the memory"
  sleepMilliseconds(1)
}
