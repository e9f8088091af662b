/** How many packet buffers a worker needs. */
import { usageError } from '../errors.ts'
import { MAX_IDS } from './wasm-layout.ts'

/** Where the packets of one worker can be. */
export interface InFlight {
  /** Devices: each has a receive and a transmit ring in this worker. */
  readonly ports: number
  /** Descriptors per ring. */
  readonly ringSize: number
  /** Packets that the app takes out of a ring at a time. */
  readonly batchSize: number
  /** Packets of one port that the app keeps beyond that, from one step to the next. */
  readonly held: number
}

/**
 * The most buffers of one port's pool that can be in use at a time: its receive ring has one for each descriptor; the
 * packets that came out of it may fill the transmit rings of all ports, its own among them, all but a descriptor of each; and
 * the app has a batch in its hands. With so many no packet is ever dropped for want of a buffer (`pool_empty`).
 */
export function buffersInFlight({ ports, ringSize, batchSize, held }: InFlight): number {
  return ringSize + ports * (ringSize - 1) + batchSize + held
}

/**
 * log2 of the buffers of each of `pools` pools (PacketMemorySpec.poolShift): the power of two that holds what is in flight.
 * Throws IXY_ERR_USAGE if ids have too few bits for so many.
 */
export function poolShiftFor(inFlight: InFlight, pools: number): number {
  const shift = Math.ceil(Math.log2(buffersInFlight(inFlight)))
  if (pools << shift <= MAX_IDS) return shift
  const { ports, ringSize, held } = inFlight
  throw usageError(
    `${ports} devices with rings of ${ringSize} descriptors${held > 0 ? ` and an app that keeps ${held} packets` : ''} need more than the ${MAX_IDS} packet buffers that a worker can have`,
    'use a smaller --ring-size',
  )
}
