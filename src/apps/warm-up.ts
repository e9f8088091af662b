/**
 * A dress rehearsal of an app on cards that exist in this thread's memory only.
 *
 * V8 runs a function interpreted first and compiles it once it has proved to be hot; the papers' JavaScript driver lost
 * packets meanwhile. So each worker runs its app on pretended rings before its real ones are armed. It must use the
 * very same classes and loops: optimised code is tied to the shapes it has seen.
 */
import { DESCRIPTOR_BYTES, RX_DD, RX_EOP, TX_DD } from '../driver/ixgbe/descriptors.ts'
import { RxRing } from '../driver/ixgbe/rx-ring.ts'
import { TxRing } from '../driver/ixgbe/tx-ring.ts'
import { DataPlane, DataPort, type Rehearsal } from '../engine/data-plane.ts'
import { COUNTERS, type WorkerSpec } from '../engine/worker-spec.ts'
import { PacketMemory } from '../memory/packets.ts'

/** Polls of the app: enough for V8's optimising compiler to be done, some 50 ms. */
const POLLS = 20_000
const RING = 512

/** Pretends that received packets of 60 bytes are always there and that everything sent is gone at the next poll. */
class PretendedCards implements Rehearsal {
  private readonly receive: Uint32Array[]
  private readonly transmit: Uint32Array[]
  private polls = 0

  constructor(receive: readonly ArrayBuffer[], transmit: readonly ArrayBuffer[]) {
    this.receive = receive.map((ring) => new Uint32Array(ring))
    this.transmit = transmit.map((ring) => new Uint32Array(ring))
  }

  next(): boolean {
    // Now and then a poll finds nothing, so that this path is compiled too.
    const status = this.polls % 4 === 3 ? 0 : RX_DD | RX_EOP
    for (const words of this.receive) {
      for (let i = 0; i < words.length; i += 4) {
        words[i + 2] = status
        words[i + 3] = 60
      }
    }
    for (const words of this.transmit) for (let i = 3; i < words.length; i += 4) words[i] |= TX_DD
    return ++this.polls < POLLS
  }
}

/** Runs `app` on a plane like the one `spec` describes. */
export function warmUp(spec: WorkerSpec, app: (plane: DataPlane) => void): void {
  const { bufferShift } = spec.memory
  const pools = spec.memory.pools
  const poolShift = 11
  const bytes = (pools << poolShift) << bufferShift
  const memory = new PacketMemory(
    {
      address: 0n,
      pageIovas: new Float64Array([0]),
      pageBytes: bytes,
      pageOffset: 0,
      bufferShift,
      poolShift,
      pools,
    },
    new ArrayBuffer(bytes),
  )
  const ring = (): ArrayBuffer => new ArrayBuffer(RING * DESCRIPTOR_BYTES)
  const receive = spec.ports.map(ring)
  const transmit = spec.ports.map(ring)
  const ports = spec.ports.map((_, i) => {
    const tails = new Int32Array(2)
    return new DataPort(
      new RxRing(memory, i, receive[i], tails, 0),
      new TxRing(memory, transmit[i], tails, 1),
    )
  })
  const shared = {
    control: new SharedArrayBuffer(4),
    counters: new SharedArrayBuffer(ports.length * COUNTERS * 8),
    batchSize: spec.batchSize,
  }
  app(
    new DataPlane(shared, memory, ports, () => undefined, {
      rehearsal: new PretendedCards(receive, transmit),
    }),
  )
}
