/** One filter in a thread of its own: libpcap's interpreter, called from C, beside the function that is made of the same program. */
import { parentPort, workerData } from 'node:worker_threads'
import { MonotonicClock } from '../src/linux/monotonic.ts'
import { mmap, viewOf } from '../src/linux/mapping.ts'
import type { FilterProgram } from '../src/packet/filter/program.ts'
import { makeFilter, type PacketFilter } from '../src/packet/filter/translate.ts'
import { specialise } from '../src/specialise.ts'
import { traffic } from '../test/packet/traffic.ts'
import { compare, type Effort } from './lib/measure.ts'
import { loadNative } from './lib/native.ts'

export interface FilterSpec {
  readonly program: FilterProgram
  readonly library: string
  readonly effort: Effort
}

const PACKETS = 1024
/** What a cache of the second level holds. */
const PACKET_BYTES = 512 * 1024
const PLACES = PACKET_BYTES
const PROGRAM = PLACES + 8 * PACKETS
const INSTRUCTIONS = PROGRAM + 64
const BYTES = INSTRUCTIONS + 1024 * 1024

/* istanbul ignore next: counters would be foreign names in it */
function counter(filter: PacketFilter, u8: Uint8Array, places: Uint32Array): () => number {
  const last = places.length
  return () => {
    let found = 0
    for (let i = 0; i < last; i += 2) {
      const length = places[i + 1]
      if (filter(u8, places[i], length, length)) found++
    }
    return found
  }
}

function run({ program, library, effort }: FilterSpec): object {
  const native = loadNative(library)
  const address = mmap(BYTES)
  const buffer = viewOf(address, BYTES)
  const u8 = new Uint8Array(buffer)
  const places = new Uint32Array(buffer, PLACES, 2 * PACKETS)
  let at = 0
  traffic(1, PACKETS).forEach(({ data }, i) => {
    u8.set(data, at)
    places.set([at, data.length], 2 * i)
    at += (data.length + 63) & ~63
  })
  if (at > PACKET_BYTES) throw new Error('the packets have no room')
  const view = new DataView(buffer)
  view.setUint32(PROGRAM, program.instructions.length, true)
  view.setBigUint64(PROGRAM + 8, address + BigInt(INSTRUCTIONS), true)
  program.instructions.forEach(({ code, jt, jf, k }, i) => {
    const place = INSTRUCTIONS + 8 * i
    view.setUint16(place, code, true)
    view.setUint8(place + 2, jt)
    view.setUint8(place + 3, jf)
    view.setUint32(place + 4, k, true)
  })
  const count = specialise(counter)(makeFilter(program), u8, places)
  const interpreter = native.filterFind('libpcap.so.0.8')
  const matches = new Uint32Array(1)
  const clock = new MonotonicClock()
  const theirs = (): number => {
    const [all, where] = [address + BigInt(PROGRAM), address + BigInt(PLACES)]
    return native.filterRun(interpreter, all, address, where, PACKETS, matches) / PACKETS
  }
  let found = 0
  const ours = (): number => {
    const began = clock.now()
    found = count()
    return ((clock.now() - began) * 1e6) / PACKETS
  }
  theirs()
  ours()
  if (found !== matches[0]) throw new Error(`${program.expression}: libpcap finds ${matches[0]}, we ${found}`)
  const contestants = [
    { name: 'libpcap', round: theirs },
    { name: 'ours', round: ours },
  ]
  const { times, ratios } = compare(contestants, effort)
  return {
    expression: program.expression,
    instructions: program.instructions.length,
    matches: found / PACKETS,
    times,
    ratio: ratios['libpcap'],
  }
}

parentPort?.postMessage(run(workerData as FilterSpec))
