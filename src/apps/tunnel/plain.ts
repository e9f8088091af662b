/** The way of plain packets in WebAssembly (wasm/plain.ts), several times as fast as enter() and leave(), which take all others. */
import type { PacketMemory } from '../../memory/packets.ts'
import { ECN_AFTER_TUNNEL } from '../../packet/ecn.ts'
import type { Headers } from './headers.ts'
import type { TunnelJob } from './job.ts'
import code from './wasm/plain.wasm'

interface Loops {
  start(
    packets: number,
    shift: number,
    header: number,
    bytes: number,
    ethernet: number,
    isIpv4: boolean,
    isVxlan: boolean,
    mask: number,
    withChecksums: boolean,
    ecn: number,
  ): void
  change(ipSum: number, pseudoSum: number, longest: number): void
  enter(batch: number, count: number): number
  leave(batch: number, count: number): number
}

export interface PlainPath {
  /** Encapsulates `batch[from … to - 1]` up to the first that isn't plain. Returns its place, or `to`. `batch`: of memory.batch(). */
  enter(batch: Int32Array, from: number, to: number): number
  /** Takes the outer headers off likewise. */
  leave(batch: Int32Array, from: number, to: number): number
  /** The headers have changed. */
  change(headers: Headers): void
}

/** Nothing is plain. */
const NONE: PlainPath = {
  enter: (_, from) => from,
  leave: (_, from) => from,
  change: () => undefined,
}

/** For the network without a VLAN, if there is one, of Ethernet frames; and if packets are in a WebAssembly memory. */
export function makePlainPath(memory: PacketMemory, job: TunnelJob, { layout }: Headers): PlainPath {
  const { space } = memory
  const network = job.networks.findIndex(({ vlan }) => vlan === null)
  if (space === null || network < 0 || job.encapsulation === 'fou') return NONE
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {
    env: { memory: space.memory },
  })
  const loops = exports as unknown as Loops
  const headerAt = space.take(layout.all)
  const header = new Uint8Array(space.buffer, headerAt, layout.all)
  const ecnAt = space.take(ECN_AFTER_TUNNEL.length)
  new Uint8Array(space.buffer, ecnAt, ECN_AFTER_TUNNEL.length).set(ECN_AFTER_TUNNEL)
  loops.start(
    memory.u8.byteOffset,
    memory.bufferShift,
    headerAt,
    layout.all,
    layout.ethernet,
    job.local.length === 4,
    job.encapsulation === 'vxlan',
    job.dscp === null ? 0xff : 3,
    job.udpChecksum,
    ecnAt,
  )
  let ready = false
  return {
    enter: (batch, from, to) => (ready ? from + loops.enter(batch.byteOffset + from * 4, to - from) : from),
    leave: (batch, from, to) => from + loops.leave(batch.byteOffset + from * 4, to - from),
    change({ u8, stride, ipSums, pseudoSums, longest, ready: known }) {
      header.set(u8.subarray(network * stride, network * stride + layout.all))
      ready = known[network] !== 0
      loops.change(ipSums[network], pseudoSums[network], longest[network])
    },
  }
}
