/** Frames into receive buffers; the algorithm is explained in ../model/rx-queue.ts. */
import { LONG_WAY, look, TYPE_SHIFT } from './look'
import { countAll, countGroup, countSizes } from './sums'

/** The machine doesn't keep stores in order: those that hand a descriptor over must release. */
let releases: bool = false

export function configureOrder(reorders: bool): void {
  releases = reorders
}

/** EtherType of PAUSE and other frames for the MAC itself, as it stands in memory. */
const MAC_CONTROL: u16 = 0x0888

/** From here on the engine's own copy is faster. */
const LONG = 512

/** `length` is at least 48. Copies the last bytes twice rather than one by one. */
function copy(target: usize, source: usize, length: usize): void {
  if (length > <usize>LONG) return memory.copy(target, source, length)
  const last = length - 16
  v128.store(target, v128.load(source))
  v128.store(target, v128.load(source, 16), 16)
  v128.store(target, v128.load(source, 32), 32)
  for (let i: usize = 48; i < last; i += 16) v128.store(target + i, v128.load(source + i))
  v128.store(target + last, v128.load(source + last))
}

/**
 * Puts up to `count` frames into the buffers of the descriptors from `descriptor` on, which don't wrap around. Host
 * address `base + n` is offset n, for n from `first` to `end`. Returns how many it has put: it stops before a frame that is
 * shorter or longer than allowed or a MAC control frame, and before a buffer that is elsewhere. `vlanType` not negative: it looks into
 * the frames, notes in `verdicts` what it finds, and stops before one that takes a longer look.
 */
export function put(
  descriptor: usize,
  count: i32,
  base: f64,
  first: i32,
  end: i32,
  offsets: usize,
  lengths: usize,
  shortest: i32,
  longest: i32,
  status: u32,
  sums: usize,
  vlanType: i32,
  verdicts: usize,
): i32 {
  const origin = <u64>(<i64>base + <i64>first)
  const room = end - first - longest
  if (room < 0) return 0
  let bytes: i32 = 0
  let done: i32 = 0
  let read = descriptor
  let size: i32 = 0
  let alike: i32 = 0
  for (; done < count; done++, read += 16) {
    const at = (<usize>done) << 2
    const length = load<i32>(lengths + at)
    const place = load<u64>(read) - origin
    if (place > <u64>room || length < shortest || length > longest) break
    const frame = <usize>load<u32>(offsets + at)
    if (load<u16>(frame, 12) === MAC_CONTROL) break
    if (vlanType >= 0) {
      const verdict = look(frame, length, vlanType)
      if (verdict === LONG_WAY) break
      store<i32>(verdicts + at, verdict)
    }
    copy(<usize>first + <usize>place, frame, length)
    if ((load<u8>(frame) & 1) !== 0) countGroup(sums, frame)
    if (length !== size) {
      countSizes(sums, size, alike)
      size = length
      alike = 0
    }
    alike++
    bytes += length
  }
  countSizes(sums, size, alike)
  countAll(sums, done, bytes)
  if (vlanType >= 0) writeBackVerdicts(descriptor, done, lengths, status, verdicts)
  else writeBack(descriptor, done, lengths, status)
  return done
}

/** Backwards: where the host looks first is written last, and then it finds all of them. */
function writeBack(descriptor: usize, count: i32, lengths: usize, status: u32): void {
  let length = lengths + ((<usize>count) << 2)
  for (let at = descriptor + ((<usize>count) << 4); at > descriptor;) {
    at -= 16
    length -= 4
    store<u64>(at, 0)
    handOver(at, ((<u64>load<u32>(length)) << 32) | (<u64>status))
  }
}

/** The same with what was found out about each frame. */
function writeBackVerdicts(
  descriptor: usize,
  count: i32,
  lengths: usize,
  status: u32,
  verdicts: usize,
): void {
  const bytes = (<usize>count) << 2
  let length = lengths + bytes
  let verdict = verdicts + bytes
  for (let at = descriptor + ((<usize>count) << 4); at > descriptor;) {
    at -= 16
    length -= 4
    verdict -= 4
    const found = load<u32>(verdict)
    store<u64>(at, found >> TYPE_SHIFT)
    handOver(at, ((<u64>load<u32>(length)) << 32) | (<u64>(status | (found & ((1 << TYPE_SHIFT) - 1)))))
  }
}

/** Status and length in one store, as explained in ../model/write-back.ts. */
function handOver(descriptor: usize, statusAndLength: u64): void {
  if (releases) atomic.store<u64>(descriptor + 8, statusAndLength)
  else store<u64>(descriptor, statusAndLength, 8)
}
