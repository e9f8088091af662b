/** Frames through a driver and back, compared byte by byte and in order at the far end. */
import { sleepMilliseconds } from '../../src/linux/clock.ts'
import { type FarEnd, framed } from './far-end.ts'
import type { Rig } from './rig.ts'
import type { TapEnd } from './tap-end.ts'

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

const FIRST_PORT = 10_000
const SOURCE_PORT = 34

/** `count` UDP datagrams of several flows by turns, told apart by their source port; each carries its number. */
export function flowFrames(flows: number, count: number): Buffer[] {
  return Array.from({ length: count }, (_, number) => {
    const size = 60 + ((number * 7919) % 1400)
    const frame = Buffer.alloc(size, number & 255)
    frame.write('02000000000b02000000000a0800', 'hex')
    frame.write(`4500${(size - 14).toString(16).padStart(4, '0')}00000000401100000a0000010a000002`, 14, 'hex')
    frame.writeUInt16BE(FIRST_PORT + (number % flows), SOURCE_PORT)
    frame.writeUInt16BE(9, 36)
    frame.writeUInt16BE(size - 34, 38)
    frame.writeUInt16BE(0, 40)
    frame.writeUInt32BE(number, 42)
    return frame
  })
}

export function flowOf(frame: Buffer): number {
  return frame.readUInt16BE(SOURCE_PORT) - FIRST_PORT
}

/** As echoed(), over a TAP, which drops what it has no room for: so a window of frames is under way. In any order. */
export function echoedByTap(rig: Rig, tap: TapEnd, frames: readonly Buffer[], window = 200): Buffer[] {
  const came: Buffer[] = []
  let sent = 0
  let progress = performance.now()
  while (came.length < frames.length) {
    const next = Math.min(frames.length, came.length + window)
    tap.send(frames.slice(sent, next))
    sent = next
    const moved = rig.echo()
    const taken = tap.frames()
    came.push(...taken)
    if (moved + taken.length > 0) progress = performance.now()
    else if (performance.now() - progress < PATIENCE * 1000) sleepMilliseconds(0.05)
    else throw new Error(`only ${came.length} of ${frames.length} frames have come back, ${sent} were sent`)
  }
  return came
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
