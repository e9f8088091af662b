/**
 * A forwarder or a generator on virtual 82599s in one thread: the driver, the rings, the models and the wires are the real
 * ones; a test turns the handle. Time is made up, so a run is the same each time.
 */
import { pktgen } from '../../src/apps/pktgen/app.ts'
import { GeneratedFrames } from '../../src/apps/pktgen/frame-source.ts'
import { forward } from '../../src/apps/forward/app.ts'
import type { App } from '../../src/engine/app.ts'
import { type Balance, type PortCounts, balanceOf } from '../../src/engine/balance.ts'
import type { Device } from '../../src/driver/device.ts'
import { offsetOf } from '../../src/driver/intel/register.ts'
import { ixgbe } from '../../src/driver/ixgbe/driver.ts'
import { REG } from '../../src/driver/ixgbe/registers.ts'
import { type DataPort, attachPort } from '../../src/engine/data-plane.ts'
import { lossOf } from '../../src/engine/loss.ts'
import type { Share } from '../../src/apps/pktgen/options.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { PacketMemory, bufferShiftFor, packetMemoryBytes } from '../../src/memory/packets.ts'
import { DEFAULT_TEMPLATE } from '../../src/packet/template.ts'
import { planFrames } from '../../src/apps/pktgen/templates/frame-plan.ts'
import type { FilterProgram } from '../../src/packet/filter/program.ts'
import { totalsOf } from '../../src/vnic/model/totals.ts'
import type { FileWork } from '../../src/vnic/wires/kind.ts'
import { Ledger } from '../../src/vnic/wires/ledger.ts'
import { parseWires } from '../../src/vnic/wires/parse.ts'
import type { Wire } from '../../src/vnic/wires/wire.ts'
import { ModelTransport } from '../driver/ixgbe/model-transport.ts'
import { Witness } from './witness.ts'
import type { Witnessed } from './witnessed.ts'

export interface SimulatedRunOptions {
  /** Two: forward between them. One: generate packets. */
  readonly wires: readonly string[]
  readonly queues: number
  readonly mtu: number
  /** The host's memory is where the loops of src/vnic/wasm reach it. */
  readonly fast: boolean
  /**
   * What the cards let pass to the host: frames to any address, as our driver sets them up; or, as another driver might, those to
   * the card and to everybody, or those outside of VLANs.
   */
  readonly wants: 'all' | 'own address' | 'no VLAN'
  /** What the forwarder passes on; null: everything. */
  readonly filter: FilterProgram | null
}

const RING = 32
const BATCH = 16

export class SimulatedRun {
  readonly app: App
  private now = 1000
  private readonly wires: readonly Wire[]
  private readonly witnesses: readonly Witness[]
  private readonly work: FileWork[] = []
  private readonly transports: readonly ModelTransport[]
  private readonly devices: readonly Device[]
  /** By queue, then by device. */
  private readonly ports: readonly (readonly DataPort[])[]
  /** Per queue: what the worker does in one turn. */
  private readonly steps: readonly (() => number)[]
  private readonly arena: DmaArena
  private generating = true

  /** Call ready() before anything else. */
  constructor({ wires, queues, mtu, fast, wants, filter }: SimulatedRunOptions) {
    this.app = wires.length === 2 ? forward : pktgen
    const ledger = new Ledger(0x1234)
    this.wires = wires.map((text) =>
      parseWires(text, { ledger, linkMbit: 10_000, work: this.work, log: () => undefined }),
    )
    this.witnesses = this.wires.map((wire) => new Witness(wire))
    this.transports = this.witnesses.map((wire) => new ModelTransport(wire, fast))
    const shift = bufferShiftFor(18 + mtu)
    const poolShift = Math.log2(RING) + 2
    const perQueue = packetMemoryBytes(shift, poolShift, 2) + (1 << shift)
    this.arena = new DmaArena(
      queues * perQueue + 2 * ixgbe.dmaBytes({ queues, ringSize: RING }, this.transports[0]) + 4096,
      false,
    )
    for (const transport of this.transports)
      for (const segment of this.arena.segments) transport.mapDma(segment)
    const memories = Array.from({ length: queues }, () => this.arena.takePackets(shift, poolShift, 2))
    const options = { queues, ringSize: RING, bufferShift: shift, maxFrame: 14 + mtu + 4 }
    const model = { model: '', family: '82599' }
    const warn = (): void => undefined
    this.devices = this.transports.map((transport) =>
      ixgbe.open(transport, this.arena, { ...options, model, interrupts: false, warn }),
    )
    const attached = memories.map((spec, queue) => {
      const memory = new PacketMemory(spec)
      return { memory, ports: this.devices.map(({ queues }, i) => attachPort(queues[queue], memory, i)) }
    })
    this.ports = attached.map(({ ports }) => ports)
    this.steps = attached.map(({ memory, ports }, index) =>
      this.app === forward
        ? forwarder(memory, ports, filter)
        : this.generator(memory, ports[0], { index, of: queues }),
    )
    for (let i = 0; i < 1000 && !this.devices.every((device) => device.link().up); i++) this.pollCards(1)
    for (const device of this.devices) device.start()
    for (const { bar0 } of this.transports) {
      if (wants === 'own address') bar0.write32(offsetOf(REG.FCTRL), REG.FCTRL.fields.BAM.mask)
      if (wants === 'no VLAN') bar0.write32(offsetOf(REG.VLNCTRL), 0x8100 | REG.VLNCTRL.fields.VFE.mask)
    }
  }

  /** Resolves when captures have been read, as far as they are read ahead. */
  async ready(): Promise<void> {
    await Promise.all(this.work.map((one) => one.ready?.()))
  }

  /** Resolves when captures hold all that the cards have sent. */
  async flush(): Promise<void> {
    await Promise.all(this.work.map((one) => one.flush?.()))
  }

  private generator(memory: PacketMemory, { rx, tx }: DataPort, share: Share): () => number {
    const source = new GeneratedFrames(memory, 1, planFrames(DEFAULT_TEMPLATE, [60]), share)
    const batch = memory.batch(BATCH)
    return () => {
      const taken = rx.receive(batch, BATCH)
      memory.free(batch, 0, taken)
      if (!this.generating) return taken
      const count = source.next(batch, Math.min(BATCH, tx.room()))
      return taken + tx.transmit(batch, 0, count)
    }
  }

  /** Lets `milliseconds` pass for the cards and their wires. */
  pollCards(milliseconds: number): void {
    this.now += milliseconds
    // A card looks more often than once in such a time: enough comes for its packet buffer to overflow.
    const polls = milliseconds > 1 ? 4 : 1
    for (const { model } of this.transports) for (let i = 0; i < polls; i++) model.poll(this.now)
  }

  /** A turn of the worker of this queue, if there is one. */
  pollWorker(queue: number): void {
    this.steps[queue % this.steps.length]()
  }

  /** As a run ends: sources stop, what is under way comes out, cards stop. `abrupt`: the workers have ended before. */
  windDown(abrupt: boolean): void {
    this.generating = false
    for (const wire of this.wires) wire.stop()
    for (let i = 0; i < 400; i++) this.turn(!abrupt)
    this.stopReceiving('queues')
    for (let i = 0; i < 20; i++) this.turn(!abrupt)
    for (const device of this.devices) device.stopSending()
  }

  /** As our driver does it, queue by queue, or with the bit that makes the whole card deaf. */
  stopReceiving(how: 'queues' | 'card'): void {
    if (how === 'queues') for (const device of this.devices) device.stopReceiving()
    else for (const { bar0 } of this.transports) bar0.write32(offsetOf(REG.RXCTRL), 0)
  }

  private turn(workers: boolean): void {
    this.pollCards(1)
    if (workers) for (const step of this.steps) step()
  }

  /** At any moment between two turns. */
  counts(): PortCounts[] {
    return this.devices.map((device, index) => {
      const { rxPackets, txPackets, dropped } = device.statistics()
      const { model } = this.transports[index]
      const queues = this.ports.map((ports) => ports[index])
      const total = (of: (port: DataPort) => number): number =>
        queues.reduce((sum, port) => sum + of(port), 0)
      return {
        index,
        device: device.name,
        card: { received: rxPackets, sent: txPackets, dropped },
        worker: {
          taken: total(({ rx }) => rx.packets),
          dropped: {
            pool_empty: total(({ rx }) => rx.poolEmpty),
            fragments: total(({ rx }) => rx.fragments),
            bad_length: total(({ rx }) => rx.badLength),
          },
          untaken: total(({ rx }) => rx.untaken()),
          filteredOut: total((port) => port.filteredOut),
          queued: total(({ tx }) => tx.packets),
          unsent: total(({ tx }) => tx.pending()),
        },
        nic: {
          card: totalsOf(model),
          buffered: model.receive.buffered,
          account: this.wires[index].account(),
        },
      }
    })
  }

  /** Per device: what everybody has counted, and the witness. */
  witnessed(): Witnessed[] {
    return this.devices.map((device, i) => {
      const queues = this.ports.map((ports) => ports[i])
      const sums = (side: 'rx' | 'tx'): { packets: number; bytes: number } => ({
        packets: queues.reduce((sum, port) => sum + port[side].packets, 0),
        bytes: queues.reduce((sum, port) => sum + port[side].bytes, 0),
      })
      return {
        witness: this.witnesses[i],
        card: this.transports[i].model,
        driver: device.statistics(),
        workers: { rx: sums('rx'), tx: sums('tx') },
        reports: this.wires[i].reports(),
      }
    })
  }

  /** The counter of this name of all wires together. */
  reported(name: string): number {
    const reports = this.wires.flatMap((wire) => wire.reports())
    return reports.reduce((sum, { counters }) => sum + (counters[name] ?? 0), 0)
  }

  balance(): Balance[] {
    return balanceOf(this.app, this.counts())
  }

  loss(): ReturnType<typeof lossOf> {
    const counts = this.counts()
    return lossOf(this.app, counts, balanceOf(this.app, counts))
  }

  release(): void {
    for (const device of this.devices) device.close()
    for (const wire of this.wires) wire.close()
    for (const transport of this.transports) transport.release()
    this.arena.close()
  }
}

function forwarder(
  memory: PacketMemory,
  ports: readonly DataPort[],
  filter: FilterProgram | null,
): () => number {
  const worker = { worker: 0, workers: 1, rehearsal: false, wasm: null }
  const alone = { pools: [], counters: new Float64Array(0), ...worker }
  const { step } = forward.make({ memory, ports, batchSize: BATCH, ...alone }, { touch: false, filter })
  return step
}
