/** Capture files for tests, and a plain reader of them that shares nothing with src/packet. */
import { readFileSync, writeFileSync } from 'node:fs'

export interface Capture {
  readonly bigEndian?: boolean
  readonly nanoseconds?: boolean
}

/** Writes `frames` one microsecond apart. */
export function writeCapture(
  path: string,
  frames: readonly Uint8Array[],
  { bigEndian = false, nanoseconds = false }: Capture = {},
): void {
  const little = !bigEndian
  const bytes = Buffer.alloc(24 + frames.reduce((sum, frame) => sum + 16 + frame.length, 0))
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint32(0, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, little)
  view.setUint16(4, 2, little)
  view.setUint16(6, 4, little)
  view.setUint32(16, 262144, little)
  view.setUint32(20, 1, little)
  let at = 24
  frames.forEach((frame, i) => {
    view.setUint32(at, 1_700_000_000, little)
    view.setUint32(at + 4, nanoseconds ? i * 1000 : i, little)
    view.setUint32(at + 8, frame.length, little)
    view.setUint32(at + 12, frame.length, little)
    bytes.set(frame, at + 16)
    at += 16 + frame.length
  })
  writeFileSync(path, bytes)
}

/** The frames of a little-endian capture. */
export function readCapture(path: string): Uint8Array[] {
  const bytes = readFileSync(path)
  const frames: Uint8Array[] = []
  for (let at = 24; at < bytes.length;) {
    const length = bytes.readUInt32LE(at + 8)
    frames.push(bytes.subarray(at + 16, at + 16 + length))
    at += 16 + length
  }
  return frames
}

// A global is looked up slowly under jest, and these are for each byte.
const { floor, imul } = Math

/** Frames of all sizes from 60 to 1514 with contents that depend on `seed`; some VLAN tagged, some IPv6, some in bursts. */
export function mixedFrames(count: number, seed = 1): Uint8Array[] {
  let state = seed
  const random = (limit: number): number => {
    state = (imul(state, 1664525) + 1013904223) >>> 0
    return floor((state / 2 ** 32) * limit)
  }
  return Array.from({ length: count }, (_, i) => {
    const special = [60, 61, 63, 64, 65, 127, 1513, 1514]
    const frame = new Uint8Array(i < special.length ? special[i] : 60 + random(1455))
    for (let j = 0; j < frame.length; j++) frame[j] = random(256)
    frame[0] &= 0xfe // unicast
    const types = [0x0800, 0x86dd, 0x8100, 0x0806]
    const type = types[random(types.length)]
    frame[12] = type >> 8
    frame[13] = type & 0xff
    return frame
  })
}
