/**
 * Queues with rings of advanced descriptors, from ring to enabled and back. The registers of a queue have the same names and
 * fields on all of Intel's cards that have such rings, in other places: each function takes the table that says where.
 */
import type { DmaBlock } from '../../memory/arena.ts'
import type { RegisterFile } from './register-file.ts'
import { type Register, put } from './register.ts'

export interface ReceiveQueueTable {
  readonly RDBAL: Register
  readonly RDBAH: Register
  readonly RDLEN: Register
  readonly RDH: Register
  readonly RDT: Register
  readonly SRRCTL: Register<'BSIZEPACKET' | 'DESCTYPE' | 'DROP_EN'>
  readonly RXDCTL: Register<'ENABLE'>
}

export interface TransmitQueueTable {
  readonly TDBAL: Register
  readonly TDBAH: Register
  readonly TDLEN: Register
  readonly TDH: Register
  readonly TDT: Register
  readonly TXDCTL: Register<'PTHRESH' | 'HTHRESH' | 'WTHRESH' | 'ENABLE'>
}

export interface ReceiveQueueOptions {
  /** Size of the buffers behind the descriptors in KiB, 1 to 16. A larger frame goes into several (EOP chain). */
  readonly bufferKib: number
  /** Drop packets of a queue without descriptors instead of letting them hold up the others'. */
  readonly dropEnable: boolean
}

/**
 * When the card fetches transmit descriptors (82599 §7.2.3.4.1): once fewer than `prefetch` are in its cache and at least
 * `host` wait in memory. The caches differ from card to card.
 */
export interface FetchThresholds {
  readonly prefetch: number
  readonly host: number
}

/** SRRCTL.DESCTYPE: advanced descriptors, one buffer (82599 §8.2.3.8.7). */
const DESCTYPE_ONE_BUFFER = 0b001

/** Milliseconds that all queues together may take to stop. */
const STOP_DEADLINE = 1000

/** Points receive queue `queue` at its ring and enables it, empty (82599 §4.6.7.1). Throws IXY_ERR_REGISTER. */
export function startReceiveQueue(
  regs: RegisterFile,
  table: ReceiveQueueTable,
  queue: number,
  ring: DmaBlock,
  { bufferKib, dropEnable }: ReceiveQueueOptions,
): void {
  const { RDBAL, RDBAH, RDLEN, RDH, RDT, SRRCTL, RXDCTL } = table
  const { low, high } = splitAddress(ring.iova)
  regs.write(RDBAL, low, queue)
  regs.write(RDBAH, high, queue)
  regs.write(RDLEN, ring.bytes, queue)
  regs.write(RDH, 0, queue)
  regs.write(RDT, 0, queue)

  const { BSIZEPACKET, DESCTYPE, DROP_EN } = SRRCTL.fields
  const drop = dropEnable ? DROP_EN.mask : 0
  regs.write(SRRCTL, put(BSIZEPACKET, bufferKib) | put(DESCTYPE, DESCTYPE_ONE_BUFFER) | drop, queue)

  const { ENABLE } = RXDCTL.fields
  regs.modify(RXDCTL, { set: ENABLE.mask }, queue)
  regs.waitFor(RXDCTL, ENABLE.mask, true, { index: queue })
}

/**
 * Points transmit queue `queue` at its ring and enables it, empty (82599 §4.6.8.1). Descriptors are written back at once
 * (WTHRESH 0, §7.2.3.5), as not every one of them has RS set. Throws IXY_ERR_REGISTER.
 */
export function startTransmitQueue(
  regs: RegisterFile,
  table: TransmitQueueTable,
  queue: number,
  ring: DmaBlock,
  { prefetch, host }: FetchThresholds,
): void {
  const { TDBAL, TDBAH, TDLEN, TDH, TDT, TXDCTL } = table
  const { low, high } = splitAddress(ring.iova)
  regs.write(TDBAL, low, queue)
  regs.write(TDBAH, high, queue)
  regs.write(TDLEN, ring.bytes, queue)
  regs.write(TDH, 0, queue)
  regs.write(TDT, 0, queue)

  const { PTHRESH, HTHRESH, WTHRESH, ENABLE } = TXDCTL.fields
  const clear = PTHRESH.mask | HTHRESH.mask | WTHRESH.mask
  const set = put(PTHRESH, prefetch) | put(HTHRESH, host) | ENABLE.mask
  regs.modify(TXDCTL, { clear, set }, queue)
  regs.waitFor(TXDCTL, ENABLE.mask, true, { index: queue })
}

/**
 * Clears ENABLE in the first `count` of RXDCTL or TXDCTL and waits until the card has taken that over in each of them.
 * All are told before any is waited for, so one that doesn't stop keeps no other from it. Throws IXY_ERR_REGISTER.
 */
export function disableQueues(regs: RegisterFile, control: Register<'ENABLE'>, count: number): void {
  const { mask } = control.fields.ENABLE
  for (let index = 0; index < count; index++) regs.modify(control, { clear: mask }, index)
  const until = performance.now() + STOP_DEADLINE
  for (let index = 0; index < count; index++)
    regs.waitFor(control, mask, false, { index, deadline: Math.max(1, until - performance.now()) })
}

/** An IOVA (a number below 2^52) as the two halves that base address registers take. */
function splitAddress(iova: number): { low: number; high: number } {
  return { low: iova >>> 0, high: Math.floor(iova / 2 ** 32) }
}
