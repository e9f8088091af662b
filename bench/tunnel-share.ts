/** Into a tunnel and out of it: nanoseconds per packet of the loops alone, beside C on the same memory layout. */
import { makeEnter } from '../src/apps/tunnel/enter.ts'
import { Fate } from '../src/apps/tunnel/fates.ts'
import { Headers } from '../src/apps/tunnel/headers.ts'
import { makeLeave } from '../src/apps/tunnel/leave.ts'
import { type TunnelFlags, tunnelOptions } from '../src/apps/tunnel/options.ts'
import { makePlainPath } from '../src/apps/tunnel/plain.ts'
import { Underlay } from '../src/apps/tunnel/underlay.ts'
import { allocateShared, releaseBlock } from '../src/linux/hugepages.ts'
import { addressOf } from '../src/linux/mapping.ts'
import { PacketMemory } from '../src/memory/packets.ts'
import { WasmSpace } from '../src/memory/wasm-space.ts'
import { wordsOver } from '../src/packet/checksum.ts'
import { parseMac } from '../src/packet/mac.ts'
import { buildFrame, DEFAULT_TEMPLATE } from '../src/packet/template.ts'
import { type Comparison, compare, type Contestant, type Effort } from './lib/measure.ts'
import { KINDS, koffiTunnel } from './lib/native-tunnel.ts'

const POOL_SHIFT = 11
const BUFFER_SHIFT = 11
const POOLS = 3
const VNI = 42
const PORT = 5555
const INNER_MAC = parseMac('02:00:00:00:00:0b')
/** In turn, as the packets of full rings are. */
const PACKETS = 512
const BATCH = 32

/** All packets; false: one has not gone through. */
interface Loops {
  enter(): boolean
  leave(): boolean
}

export interface TunnelWork {
  readonly encap: (typeof KINDS)[number]
  readonly way: 'enter' | 'leave'
  /** Bytes of the inner frame. */
  readonly size: number
  readonly checksum: boolean
  /** The network's, and the frames'; null: it has none. */
  readonly vlan: number | null
}

function networkTo(remote: string, encap: TunnelWork['encap'], vlan: number | null): Partial<TunnelFlags> {
  const vni = encap === 'fou' ? null : VNI
  if (vlan === null) return { remote, ...(vni !== null && { vni }) }
  return { map: [`vlan=${vlan},${vni === null ? '' : `vni=${vni},`}remote=${remote}`] }
}

export class TunnelShare {
  private readonly block = allocateShared((POOLS << POOL_SHIFT) << BUFFER_SHIFT)
  private readonly memory: PacketMemory
  private readonly ids: Int32Array
  private readonly library: string

  constructor(library: string) {
    this.library = library
    const space = new WasmSpace(this.block)
    const spec = {
      address: this.block.address,
      pageIovas: new Float64Array([0]),
      pageBytes: 2 ** 30,
      pageOffset: 0,
      bufferShift: BUFFER_SHIFT,
      poolShift: POOL_SHIFT,
      pools: POOLS,
    }
    this.memory = new PacketMemory(spec, space)
    this.ids = this.memory.batch(PACKETS)
  }

  run({ encap, way, size, checksum, vlan }: TunnelWork, effort: Effort): Comparison {
    const { memory, ids } = this
    const kind = encap === 'fou' ? { encap, port: PORT } : { encap }
    const flags = { ...kind, innerMac: INNER_MAC, ttl: 64, dscp: 0, udpChecksum: checksum } as const
    const [here, there] = [
      ['192.0.2.1', '192.0.2.2'],
      ['192.0.2.2', '192.0.2.1'],
    ].map(([local, remote]) => ({
      ...tunnelOptions({ ...flags, local, ...networkTo(remote, encap, vlan) }),
      mtu: 1500,
      underlay: Underlay.allocate(1, 1),
    }))
    const underlay = new Underlay(here.underlay, 1, 1, here.mtu)
    underlay.learn(0, there.mac)
    const headers = new Headers(here, underlay)
    headers.refresh()
    const words = wordsOver(memory.u8)
    const enter = makeEnter(memory, words, headers, here)
    // What comes out goes in again.
    const hosts = INNER_MAC
    const leave = makeLeave(memory, words, there, hosts)
    this.fill(size, vlan)

    const c = koffiTunnel(this.library)
    const u8 = addressOf(memory.u8.buffer as ArrayBuffer) + BigInt(memory.u8.byteOffset)
    const sizes = addressOf(memory.size.buffer as ArrayBuffer) + BigInt(memory.size.byteOffset)
    const tunnel = c.tunnelNew(
      u8,
      sizes,
      headers.u8,
      INNER_MAC,
      KINDS.indexOf(encap),
      VNI,
      vlan ?? 0,
      checksum ? 1 : 0,
    )
    const plain = makePlainPath(memory, here, headers)
    plain.change(headers, hosts)
    const farHeaders = new Headers(there, new Underlay(there.underlay, 1, 1, there.mtu))
    const far = makePlainPath(memory, there, farHeaders)
    far.change(farHeaders, hosts)
    const ts: Loops = {
      enter: () => {
        let bad = 0
        for (let i = 0; i < PACKETS; i++) bad |= enter(ids[i])
        return bad === 0
      },
      leave: () => {
        let fates = 0
        for (let i = 0; i < PACKETS; i++) fates |= leave(ids[i])
        return fates === Fate.decapsulated
      },
    }
    // In batches of 32, as the product calls them, and each from one place.
    const wasm: Loops = {
      enter: () => {
        for (let i = 0; i < PACKETS; i += BATCH)
          if (plain.enter(ids, i, i + BATCH) !== i + BATCH) return false
        return true
      },
      leave: () => {
        for (let i = 0; i < PACKETS; i += BATCH) if (far.leave(ids, i, i + BATCH) !== i + BATCH) return false
        return true
      },
    }
    const check = (through: boolean): void => {
      if (!through || memory.size[ids[0]] !== size) throw new Error('a packet has not gone through')
    }
    /** Time of one of the two ways; the other brings the packets back. */
    const timed = (loops: Loops) => (): number => {
      const began = process.hrtime.bigint()
      const entered = loops.enter()
      const between = process.hrtime.bigint()
      const left = loops.leave()
      const ended = process.hrtime.bigint()
      check(entered && left)
      return Number(way === 'enter' ? between - began : ended - between) / PACKETS
    }
    const inC = (): number => {
      const entered = c.tunnelEnter(tunnel, ids, PACKETS)
      const left = c.tunnelLeave(tunnel, ids, PACKETS)
      check(entered >= 0 && left >= 0)
      return (way === 'enter' ? entered : left) / PACKETS
    }
    this.sameBytes(ts, () => c.tunnelEnter(tunnel, ids, PACKETS))
    const contestants: Contestant[] = [
      { name: 'C', round: inC },
      { name: 'ts', round: timed(ts) },
      { name: 'wasm', round: timed(wasm) },
    ]
    return compare(contestants, effort)
  }

  close(): void {
    releaseBlock(this.block)
  }

  private fill(size: number, vlan: number | null): void {
    const { memory, ids } = this
    memory.reset()
    memory.allocate(0, ids, PACKETS)
    for (let i = 0; i < PACKETS; i++) {
      memory.u8.set(
        buildFrame(
          { ...DEFAULT_TEMPLATE, destinationMac: INNER_MAC, vlans: vlan === null ? [] : [vlan] },
          size,
          i & 63,
        ),
        memory.dataOffset(ids[i]),
      )
      memory.size[ids[i]] = size
    }
  }

  /** Both make the same packets: they do the same work. */
  private sameBytes(loops: Loops, enterInC: () => number): void {
    const { memory, ids } = this
    const packet = (): string => {
      const start = memory.dataOffset(ids[7])
      return Buffer.from(memory.u8.slice(start, start + memory.size[ids[7]])).toString('hex')
    }
    loops.enter()
    const ours = packet()
    loops.leave()
    enterInC()
    if (packet() !== ours) throw new Error(`C makes another packet:\n${packet()}\n${ours}`)
    loops.leave()
  }
}
