import { randomBytes } from 'node:crypto'
import { IxyError, asIxyError } from '../../errors.ts'
import { viewOf } from '../../linux/mapping.ts'
import type { DmaArena } from '../../memory/arena.ts'
import type { Transport } from '../../pci/transport.ts'
import type { Device, DeviceStatistics, LinkState } from '../device.ts'
import type { DeviceOptions } from '../driver.ts'
import { type CommandName, ControlQueue } from './control.ts'
import { FEATURES, type FeatureName, type Features } from './features.ts'
import type { VirtioFunction } from './function.ts'
import { negotiate, resetFunction } from './initialise.ts'
import { openFunction } from './open-function.ts'
import { takeQueue } from './queue-memory.ts'
import * as COUNTER from './counters.ts'
import type { QueueShape, VirtioQueueSpec, VirtqueueSpec } from './queue-spec.ts'
import { NET, NO_VECTOR, STATUS } from './registers.ts'
import { controlEntries, controlQueue, entriesOf, requirePairs, slotsOf } from './sizes.ts'

/** Milliseconds that a command may take at the end of a run. */
const LAST_COMMAND_DEADLINE = 100

/** Bit of the PCI command register that keeps a function from interrupting by a line (PCI 3.0 §6.2.2). */
const COMMAND = 0x04
const INTERRUPT_DISABLE = 0x400

/** Times that a configuration is read which changes meanwhile. */
const MOST_TRIES = 100

const UNKNOWN_SPEED = 0xffffffff

/** A virtio network card: from reset to packets, in the order of virtio 1.2 §3.1.1. */
export class VirtioDevice implements Device {
  readonly name: string
  readonly model: string
  readonly mac: string
  readonly queues: readonly VirtioQueueSpec[]

  private readonly transport: Transport
  private readonly fn: VirtioFunction
  private readonly features: Features
  private readonly control: ControlQueue | null
  private readonly counters: readonly Float64Array[]
  private readonly warn: (message: string) => void
  private state: 'ready' | 'running' | 'stopped' = 'ready'
  private receiving = false
  private closed = false

  /** The transport, which the device owns from now on, must have `arena` mapped. Throws IXY_ERR_REGISTER, _DEVICE_UNSUPPORTED. */
  constructor(transport: Transport, arena: DmaArena, options: DeviceOptions) {
    this.transport = transport
    this.name = transport.name
    this.model = options.model.model
    this.warn = options.warn
    const fn = openFunction(transport)
    this.fn = fn
    resetFunction(fn, transport.name)
    try {
      this.features = negotiate(fn, transport, options.queues)
      this.mac = this.has('MAC') ? this.readMac() : randomMac()

      this.keepFromInterrupting()
      const eventfds = options.interrupts ? transport.enableInterrupts(options.queues) : []
      requirePairs(fn, transport.name, this.has('MQ'), options.queues)
      this.queues = Array.from({ length: options.queues }, (_, pair) =>
        this.startPair(arena, pair, options, eventfds[pair] ?? null),
      )
      const slots = Math.min(...this.queues.flatMap(({ rx, tx }) => [rx.slots, tx.slots]))
      if (slots < options.ringSize)
        options.warn(`its rings hold ${slots} packets, not ${options.ringSize} (--ring-size)`)
      this.counters = this.queues.map(
        ({ counters }) => new Float64Array(viewOf(counters, COUNTER.COUNTERS * 8)),
      )
      this.control = this.has('CTRL_VQ') ? this.startControl(arena) : null
    } catch (error) {
      quietly(() => (fn.status |= STATUS.FAILED))
      quietly(() => resetFunction(fn, transport.name))
      throw error
    }
  }

  /** From here on the device works on its queues; commands, too, have to wait until now (§3.1.1, §2.1). */
  start(): void {
    const { fn, queues } = this
    fn.status |= STATUS.DRIVER_OK
    this.state = 'running'
    this.receiving = true
    if (
      queues.length > 1 &&
      this.control?.send('SET_PAIRS', [queues.length & 0xff, queues.length >> 8]) !== true
    )
      throw new IxyError(
        'IXY_ERR_REGISTER',
        `${this.name} refuses ${queues.length} queue pairs (virtio 1.2 §5.1.6.5.5)`,
        'use --queues 1',
      )
    // A forwarder wants every packet, whomever it is for. VLANs aren't filtered, as CTRL_VLAN wasn't accepted.
    if (this.has('CTRL_RX') && this.control?.send('PROMISCUOUS', [1]) !== true)
      this.warn('it refuses to be promiscuous: packets for others may not come in (virtio 1.2 §5.1.6.5.1)')
    // What workers have put into receive rings it hasn't been told of.
    for (const { rx } of queues) fn.notify(rx.queue)
  }

  link(): LinkState {
    const { fn } = this
    // Without STATUS the link is up (§5.1.4).
    const up = !this.has('STATUS') || (fn.net(NET.status) & NET.status.flags['LINK_UP']) !== 0
    const speed = this.has('SPEED_DUPLEX') ? fn.net(NET.speed) : UNKNOWN_SPEED
    return { up, mbit: up && speed !== UNKNOWN_SPEED ? speed : 0 }
  }

  /** The device counts nothing, so the driver does. What was sent is what the device has given back. */
  statistics(): DeviceStatistics {
    const sum = (...places: readonly number[]): number =>
      this.counters.reduce((all, of) => places.reduce((total, place) => total + of[place], all), 0)
    const { RX_PACKETS, RX_BYTES, POOL_EMPTY, FRAGMENTS, BAD_LENGTH } = COUNTER
    return {
      rxPackets: sum(RX_PACKETS, POOL_EMPTY, FRAGMENTS, BAD_LENGTH, COUNTER.RX_UNTAKEN),
      rxBytes: sum(RX_BYTES),
      txPackets: sum(COUNTER.TX_DONE_PACKETS),
      txBytes: sum(COUNTER.TX_DONE_BYTES),
      dropped: {},
      stuck: [],
    }
  }

  assertAlive(): void {
    this.transport.assertAlive()
    if (this.state !== 'running') return
    const { status } = this.fn
    if ((status & STATUS.NEEDS_RESET) !== 0)
      throw new IxyError(
        'IXY_ERR_REGISTER',
        `${this.name} has failed and wants to be reset (NEEDS_RESET, virtio 1.2 §2.1): it has found an error, its own or the driver's`,
        'start again, and look into the log of the hypervisor',
      )
    if ((status & STATUS.DRIVER_OK) === 0)
      throw new IxyError(
        'IXY_ERR_DEVICE_GONE',
        `${this.name} was reset by somebody else (device_status 0x${status.toString(16)})`,
        'leave the device to one program at a time',
      )
  }

  /**
   * Keeps out every kind of packet where the device can do that (CTRL_RX_EXTRA). Another one goes on until it is reset; what comes in
   * until then is counted as untaken.
   */
  stopReceiving(): void {
    if (!this.receiving) return
    this.receiving = false
    if (!this.has('CTRL_RX') || !this.has('CTRL_RX_EXTRA')) return
    const commands: [CommandName, number][] = [
      ['NO_UNICAST', 1],
      ['NO_MULTICAST', 1],
      ['NO_BROADCAST', 1],
      ['ALL_MULTICAST', 0],
      ['PROMISCUOUS', 0],
    ]
    try {
      for (const [name, on] of commands) this.control?.send(name, [on], LAST_COMMAND_DEADLINE)
    } catch (error) {
      this.warn(`it goes on receiving: ${asIxyError(error).message}`)
    }
  }

  /** There is no way to stop sending but a reset, after which nothing moves any more. */
  stopSending(): void {
    if (this.state === 'stopped') return
    this.state = 'stopped'
    this.receiving = false
    resetFunction(this.fn, this.name)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    try {
      this.transport.assertAlive()
      this.stopSending()
    } catch (error) {
      // One that has vanished can't be reset; closing the transport, which stops its DMA, is all that is left.
      const { code, message } = asIxyError(error)
      if (code !== 'IXY_ERR_DEVICE_GONE') this.warn(`it doesn't shut down in order: ${message}`)
    }
    this.transport.close()
  }

  /** By a line, that is: nobody asks for it, and the device might raise it for each packet. Kernel drivers switch it on by themselves. */
  private keepFromInterrupting(): void {
    const { config } = this.transport
    config.write16(COMMAND, config.read16(COMMAND) | INTERRUPT_DISABLE)
  }

  private has(name: FeatureName): boolean {
    return this.features.has(FEATURES[name])
  }

  /** Several bytes, between which the configuration may change (§2.5.1). */
  private readMac(): string {
    const { fn } = this
    const registers = [NET.mac_0, NET.mac_1, NET.mac_2, NET.mac_3, NET.mac_4, NET.mac_5]
    const read = (): string =>
      registers.map((register) => fn.net(register).toString(16).padStart(2, '0')).join(':')
    let mac = ''
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const before = fn.generation()
      mac = read()
      if (fn.generation() === before && (!fn.legacy || read() === mac)) break
    }
    return mac
  }

  private startPair(
    arena: DmaArena,
    pair: number,
    options: DeviceOptions,
    interrupt: number | null,
  ): VirtioQueueSpec {
    const { fn } = this
    const modern = this.has('VERSION_1')
    const shape: QueueShape = {
      packed: this.has('RING_PACKED'),
      // Longer since buffers can be merged (§5.1.6.1).
      headerBytes: modern || this.has('MRG_RXBUF') ? 12 : 10,
      headerAlone: !modern && !this.has('ANY_LAYOUT'),
      mergeable: this.has('MRG_RXBUF'),
      eventIndex: this.has('EVENT_IDX'),
    }
    const start = (queue: number, vector: number): VirtqueueSpec => {
      const entries = entriesOf(fn, this.name, queue, options.ringSize)
      const { block, addresses } = takeQueue(arena, entries, shape.packed)
      fn.startQueue(queue, entries, addresses, vector)
      const doorbell = fn.doorbell(queue)
      if (doorbell === null)
        throw new IxyError(
          'IXY_ERR_DEVICE_UNSUPPORTED',
          `the server of ${this.name} doesn't share the doorbell of queue ${queue}`,
          'use a server that does',
        )
      const slots = slotsOf(entries, options.ringSize, shape.headerAlone)
      return { address: block.address, entries, slots, queue, doorbell }
    }
    return {
      driver: 'virtio',
      interrupt,
      shape,
      rx: start(2 * pair, interrupt === null ? NO_VECTOR : pair),
      tx: start(2 * pair + 1, NO_VECTOR),
      counters: arena.take(COUNTER.COUNTERS * 8).address,
    }
  }

  private startControl(arena: DmaArena): ControlQueue {
    const { fn } = this
    const packed = this.has('RING_PACKED')
    const queue = controlQueue(fn, this.has('MQ'))
    const entries = controlEntries(fn, this.name, queue)
    const memory = takeQueue(arena, entries, packed)
    const control = new ControlQueue(this.name, arena, memory, entries, packed, () => fn.notify(queue))
    fn.startQueue(queue, entries, memory.addresses, NO_VECTOR)
    return control
  }
}

/** Of local making, as the device has none (§5.1.5). */
function randomMac(): string {
  const bytes = randomBytes(6)
  bytes[0] = (bytes[0] & 0xfe) | 0x02
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

function quietly(step: () => void): void {
  try {
    step()
  } catch {
    // The failure that led here is the one to be told.
  }
}
