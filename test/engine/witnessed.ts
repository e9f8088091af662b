/** What a card, its driver, the workers and the wire have counted, against what a witness between card and wire has. */
import type { DeviceStatistics } from '../../src/driver/device.ts'
import type { Register } from '../../src/driver/intel/register.ts'
import { REG } from '../../src/driver/ixgbe/registers.ts'
import { sum } from '../../src/sum.ts'
import { totalsOf } from '../../src/vnic/model/totals.ts'
import type { VirtualCard } from '../../src/vnic/model/virtual-card.ts'
import type { WireReport } from '../../src/vnic/wires/wire.ts'
import type { Tally, Witness } from './witness.ts'

export interface Witnessed {
  readonly witness: Witness
  readonly card: VirtualCard
  readonly driver: DeviceStatistics
  /** Of all queues. */
  readonly workers: { readonly rx: Sums; readonly tx: Sums }
  readonly reports: readonly WireReport[]
}

interface Sums {
  readonly packets: number
  readonly bytes: number
}

const FCS = 4

function tallied({ frames, bytes, multicast, broadcast, sizes }: Tally): Record<string, unknown> {
  const octets = bytes + FCS * frames
  return { frames: Array(3).fill(frames), bytes: Array(2).fill(bytes), octets, multicast, broadcast, sizes }
}

/** To be called when nothing moves any more. */
export function expectWitnessed({ witness, card, driver, workers, reports }: Witnessed): void {
  const { sent, taken, offered } = witness
  const { statistics, receive } = card
  const total = (register: Register): number => statistics.total(register)
  const totals = (...registers: Register[]): number[] => registers.map(total)

  expect({
    frames: totals(REG.GPTC, REG.TXDGPC, REG.QPTC),
    bytes: totals(REG.TXDGBCL, REG.QBTC_L),
    octets: total(REG.GOTCL),
    multicast: total(REG.MPTC),
    broadcast: total(REG.BPTC),
    sizes: totals(REG.PTC64, REG.PTC127, REG.PTC255, REG.PTC511, REG.PTC1023, REG.PTC1522),
  }).toEqual(tallied(sent))
  expect(total(REG.TPT)).toBe(sent.frames)
  expect({ packets: driver.txPackets, bytes: driver.txBytes }).toEqual(sums(sent))
  // What the workers have queued and the card has not sent is in the balance.
  if (workers.tx.packets === sent.frames) expect(workers.tx).toEqual(sums(sent))

  const unseen = receive.unheard + receive.mac.control + total(REG.RUC)
  expect({ arrived: total(REG.TPR), again: total(REG.RXNFGPC) }).toEqual({
    arrived: offered.frames - unseen,
    again: offered.frames - unseen,
  })
  if (unseen === 0)
    expect(totals(REG.TORL, REG.RXNFGBCL)).toEqual(Array(2).fill(offered.bytes + FCS * offered.frames))
  // What was dropped at once is in no host's memory.
  expect(taken.frames).toBeGreaterThanOrEqual(driver.rxPackets)
  expect(taken.frames).toBeLessThanOrEqual(offered.frames)
  // What has waited in the packet buffer may have been lost there.
  const { rx_buffered, tx_invalid, ...dropped } = totalsOf(card).dropped
  if (driver.rxPackets + receive.buffered + rx_buffered === taken.frames)
    expect({ ...dropped, all: sum(Object.values(dropped)) }).toEqual({
      ...dropped,
      all: offered.frames - taken.frames,
    })
  expect(tx_invalid).toBe(0)
  if (driver.rxPackets === taken.frames) {
    expect({
      frames: [total(REG.GPRC) - total(REG.MPC), ...totals(REG.RXDGPC, REG.QPRC)],
      bytes: totals(REG.RXDGBCL, REG.QBRC_L),
      octets: total(REG.GORCL),
      multicast: total(REG.MPRC),
      broadcast: total(REG.BPRC),
      sizes: totals(REG.PRC64, REG.PRC127, REG.PRC255, REG.PRC511, REG.PRC1023, REG.PRC1522),
    }).toEqual(tallied(taken))
    expect(driver.rxBytes).toBe(taken.bytes)
    if (workers.rx.packets === taken.frames) expect(workers.rx).toEqual(sums(taken))
  }
  expectReported(reports, witness)
}

function sums({ frames, bytes }: Tally): Sums {
  return { packets: frames, bytes }
}

/** Where no fault stands between, each end has got what the card has sent, and the sources have sent what came to the card. */
function expectReported(reports: readonly WireReport[], { sent, offered, taken }: Witness): void {
  if (reports.some(({ wire }) => wire.startsWith('fault='))) return
  const all = (name: string): number => sum(reports.map(({ counters }) => counters[name] ?? 0))
  expect({ sent: all('sent'), undelivered: all('undelivered') }).toEqual({
    sent: offered.frames,
    undelivered: offered.frames - taken.frames,
  })
  for (const { wire, counters } of reports) {
    expect({ wire, arrived: counters['arrived'] }).toEqual({ wire, arrived: sent.frames })
    if ('bytes' in counters) expect({ wire, bytes: counters['bytes'] }).toEqual({ wire, bytes: sent.bytes })
    if ('recorded' in counters) expect(counters['recorded']).toBe(sent.frames)
  }
}
