import type { RegisterFile } from '../intel/register-file.ts'
import { put } from '../intel/register.ts'
import { REG } from './registers.ts'
import { type FetchThresholds, disableQueues } from '../intel/queue-setup.ts'

/** TXPBSIZE of packet buffer 0 when it is the only one: all 160 KiB (82599 §4.6.11.3.4). */
const ALL_OF_THE_PACKET_BUFFER = 160
/** TXPBTHRESH: room for one packet of the largest size, 10 KiB, must be left (82599 §8.2.3.9.14). */
const PACKET_BUFFER_THRESHOLD = 150
/** Most bytes of read requests outstanding without DCB; the bits above are reserved (82599 §8.2.3.9.1). */
const MAX_REQUESTS = 0xfff

/** When this card fetches transmit descriptors. */
export const FETCH: FetchThresholds = { prefetch: 36, host: 8 }

/** Sets the transmit path up, all but the queues (82599 §4.6.8). */
export function initTransmit(regs: RegisterFile): void {
  regs.modify(REG.HLREG0, { set: REG.HLREG0.fields.TXCRCEN.mask | REG.HLREG0.fields.TXPADEN.mask })

  regs.write(REG.TXPBSIZE, put(REG.TXPBSIZE.fields.SIZE, ALL_OF_THE_PACKET_BUFFER), 0)
  regs.write(REG.TXPBTHRESH, PACKET_BUFFER_THRESHOLD, 0)
  for (let i = 1; i < REG.TXPBSIZE.count; i++) {
    regs.write(REG.TXPBSIZE, 0, i)
    regs.write(REG.TXPBTHRESH, 0, i)
  }
  regs.write(REG.DTXMXSZRQ, MAX_REQUESTS)

  // MTQC may only change while the arbiter is off (§8.2.3.9.15): one traffic class, 64 queues, no pools.
  regs.modify(REG.RTTDCS, { set: REG.RTTDCS.fields.ARBDIS.mask })
  regs.write(REG.MTQC, 0)
  regs.modify(REG.RTTDCS, { clear: REG.RTTDCS.fields.ARBDIS.mask })

  regs.modify(REG.DMATXCTL, { set: REG.DMATXCTL.fields.TE.mask })
}

/** Disables the first `count` queues. Their rings should be drained: what is still in them is not sent (82599 §4.6.8.1). */
export function stopTransmitQueues(regs: RegisterFile, count: number): void {
  disableQueues(regs, REG.TXDCTL, count)
}

export function disableTransmit(regs: RegisterFile): void {
  regs.modify(REG.DMATXCTL, { clear: REG.DMATXCTL.fields.TE.mask })
}
