/** Frames through a driver and back, compared byte by byte and in order at the far end. */
import { sleepMilliseconds } from '../../src/linux/clock.ts'
import { type FarEnd, framed } from './far-end.ts'
import type { Rig } from './rig.ts'

/** Seconds without progress after which something hangs. */
const PATIENCE = 10
const CHUNK = 65_536

/** `count` frames of all sizes between two bounds; each carries its number. */
export function mixedFrames(count: number, shortest = 60, longest = 1514): Buffer[] {
  return Array.from({ length: count }, (_, number) => {
    const size = shortest + ((number * 7919) % (longest - shortest + 1))
    const frame = Buffer.alloc(size, number & 255)
    frame.write('02000000000b02000000000a88b5', 'hex')
    frame.writeUInt32BE(number, 14)
    return frame
  })
}

/**
 * Sends `frames` again and again, `count` in all, into a card whose driver sends everything back, and compares what comes.
 * The far end never drops, and neither must the driver.
 */
export function echoed(rig: Rig, farEnd: FarEnd, frames: readonly Buffer[], count: number): void {
  if (count % frames.length !== 0) throw new Error('whole rounds only')
  const stream = framed(frames)
  const total = stream.length * (count / frames.length)
  const chunk = Buffer.alloc(CHUNK)
  let sent = 0
  let came = 0
  let progress = performance.now()
  while (came < total) {
    const from = sent % stream.length
    const given = sent < total ? farEnd.give(stream.subarray(from, from + CHUNK)) : 0
    sent += given
    const moved = rig.echo()
    const taken = farEnd.take(chunk)
    compare(stream, came, chunk.subarray(0, taken))
    came += taken
    if (given + moved + taken > 0) progress = performance.now()
    else if (performance.now() - progress < PATIENCE * 1000) sleepMilliseconds(0.05)
    else throw new Error(`only ${came} of ${total} bytes have come back, ${sent} were sent`)
  }
}

function compare(stream: Buffer, place: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) {
    const from = (place + done) % stream.length
    const size = Math.min(bytes.length - done, stream.length - from)
    if (bytes.compare(stream, from, from + size, done, done + size) !== 0) {
      const at = Array.from({ length: size }).findIndex((_, i) => bytes[done + i] !== stream[from + i])
      throw new Error(
        `byte ${place + done + at} of the stream is ${bytes[done + at]}, not ${stream[from + at]}`,
      )
    }
    done += size
  }
}
