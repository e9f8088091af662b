/** From a source to the card: by the queue itself where it can make the packets (TxQueue.generator), else one step after the other. */
import type { TxQueue } from '../../driver/device.ts'
import type { MonotonicClock } from '../../linux/monotonic.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import type { FrameSource, Send } from './frame-source.ts'
import type { LatencyProbe } from './latency-probe.ts'
import type { TimedPackets } from './timed-packet.ts'

/** What becomes of packets between the source and the card: they are made probes, some for the card to stamp. */
interface Stamping {
  readonly probe: LatencyProbe
  readonly timed: TimedPackets | null
  readonly clock: MonotonicClock
}

/** A function that sends up to so many packets of `source`, `batchSize` at most, and returns how many. `stamping`: null for none. */
export function makeSender(
  memory: PacketMemory,
  tx: TxQueue,
  source: FrameSource,
  batchSize: number,
  stamping: Stamping | null,
): Send {
  if (stamping !== null) return stampingSender(memory, tx, source, batchSize, stamping)
  return source.sender?.(tx) ?? plainSender(memory, tx, source, batchSize)
}

function plainSender(memory: PacketMemory, tx: TxQueue, source: FrameSource, batchSize: number): Send {
  const batch = memory.batch(batchSize)
  const { room, transmit } = tx
  return (most) => {
    const wanted = Math.min(most, room())
    return wanted <= 0 ? 0 : transmit(batch, 0, source.next(batch, wanted))
  }
}

function stampingSender(
  memory: PacketMemory,
  tx: TxQueue,
  source: FrameSource,
  batchSize: number,
  { probe, timed, clock }: Stamping,
): Send {
  const batch = memory.batch(batchSize)
  const { room, transmit } = tx
  return (most) => {
    const wanted = Math.min(most, room())
    if (wanted <= 0) return 0
    const count = source.next(batch, wanted)
    if (count === 0) return 0
    const stamped = timed === null ? -1 : timed.choose(batch, count, source.stream)
    clock.read()
    probe.stamp(batch, count, source.stream, clock.last)
    if (timed === null || stamped < 0) transmit(batch, 0, count)
    else timed.send(batch, stamped, count)
    return count
  }
}
