/**
 * A virtio network card in this process: what it does with queues and packets. It looks at everything that the driver does,
 * and notes what virtio 1.2 forbids.
 */
import { Breaches } from './breaches.ts'
import {
  type Addresses,
  type Chain,
  type DeviceQueue,
  PackedDeviceQueue,
  SplitDeviceQueue,
} from './device-queue.ts'
import { HostMemory } from './host-memory.ts'

export const BIT = {
  MAC: 5,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_VLAN: 19,
  CTRL_RX_EXTRA: 20,
  MQ: 22,
  ANY_LAYOUT: 27,
  EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  SPEED_DUPLEX: 63,
} as const

export interface CardOptions {
  readonly offered: readonly number[]
  readonly queueSize: number
  readonly pairs: number
  /** Gives buffers back in another order than it got them. */
  readonly disorder: boolean
}

export class NetworkCard {
  readonly breaches = new Breaches()
  readonly memory = new HostMemory(this.breaches)
  readonly options: CardOptions
  /** What the driver has accepted. */
  features: ReadonlySet<number> = new Set()
  running = false
  linkUp = true
  speed = 0xffffffff
  /** Commands that came, as class.command:data. */
  readonly commands: string[] = []
  /** Commands that are refused. */
  readonly refused = new Set<string>()
  answersCommands = true
  activePairs = 1
  /** Frames that no buffer was there for. */
  missed = 0
  readonly queues = new Map<number, DeviceQueue>()
  /** Receive buffers and packets that are being sent. */
  private readonly holding = new Map<number, Chain[]>()
  private turn = 0

  constructor(options: CardOptions) {
    this.options = options
  }

  has(bit: number): boolean {
    return this.features.has(bit)
  }

  get headerBytes(): number {
    return this.has(BIT.VERSION_1) || this.has(BIT.MRG_RXBUF) ? 12 : 10
  }

  get controlQueue(): number {
    return this.has(BIT.MQ) ? 2 * this.options.pairs : 2
  }

  reset(): void {
    this.features = new Set()
    this.running = false
    this.queues.clear()
    this.holding.clear()
    this.activePairs = 1
  }

  startQueue(queue: number, size: number, at: Addresses): void {
    const packed = this.has(BIT.RING_PACKED)
    const Queue = packed ? PackedDeviceQueue : SplitDeviceQueue
    const aligned = packed
      ? at.descriptors % 16 === 0 && at.driver % 4 === 0 && at.device % 4 === 0
      : at.descriptors % 16 === 0 && at.driver % 2 === 0 && at.device % 4 === 0
    this.breaches.check(aligned, 'a part of a queue that is not aligned (§2.7, §2.8.10.1)')
    const made = new Queue(this.memory, this.breaches, size, at, this.has(BIT.EVENT_IDX))
    this.queues.set(queue, made)
    this.holding.set(queue, [])
  }

  /** The driver has rung. */
  rung(queue: number): void {
    this.breaches.check(this.running, 'a doorbell before DRIVER_OK (§3.1.1)')
    this.breaches.check(this.queues.has(queue), 'a doorbell of a queue that is not there')
    if (queue === this.controlQueue && this.has(BIT.CTRL_VQ)) this.command()
  }

  /**
   * A frame comes in; false if there is no buffer for it. `spread`: bytes in each buffer, if it is to go into several.
   * `lie`: the length that the device tells instead.
   */
  receive(pair: number, frame: Uint8Array, { spread = Infinity, lie = -1 } = {}): boolean {
    const queue = this.queues.get(2 * pair)
    if (!this.running || queue === undefined) return false
    const held = this.holding.get(2 * pair) ?? []
    for (let chain = queue.take(); chain !== null; chain = queue.take()) held.push(chain)
    const header = this.headerBytes
    const chunks: [Chain, number][] = []
    let at = 0
    do {
      const chain = this.pick(held)
      if (chain === undefined) {
        held.unshift(...chunks.map(([one]) => one))
        this.missed++
        return false
      }
      const front = chunks.length === 0 ? header : 0
      const room = Math.min(spread, capacity(chain) - front)
      const count = Math.min(room, frame.length - at)
      this.write(chain, front, frame.subarray(at, at + count))
      chunks.push([chain, front + count])
      at += count
    } while (at < frame.length && this.has(BIT.MRG_RXBUF))
    // Without merging a packet that doesn't fit is dropped (§5.1.6.3).
    if (at < frame.length) {
      held.unshift(...chunks.map(([one]) => one))
      return false
    }
    const bytes = new Uint8Array(header)
    if (header === 12) bytes[10] = chunks.length
    this.write(chunks[0][0], 0, bytes)
    for (const [chain, length] of chunks) queue.use(chain, lie >= 0 ? lie : length)
    return true
  }

  /** Sends up to `count` packets of a queue pair; returns them. */
  send(pair: number, count = Infinity): Uint8Array[] {
    const queue = this.queues.get(2 * pair + 1)
    if (!this.running || queue === undefined) return []
    const held = this.holding.get(2 * pair + 1) ?? []
    const frames: Uint8Array[] = []
    for (; frames.length < count;) {
      const chain = queue.take()
      if (chain === null) break
      held.push(chain)
      frames.push(this.read(chain))
    }
    while (held.length > 0) {
      const chain = this.pick(held)
      if (chain !== undefined) queue.use(chain, 0)
    }
    return frames
  }

  private pick(held: Chain[]): Chain | undefined {
    if (!this.options.disorder) return held.shift()
    this.turn = (this.turn * 5 + 3) % 64
    return held.splice(this.turn % Math.max(1, held.length), 1)[0]
  }

  private read({ parts }: Chain): Uint8Array {
    const { breaches } = this
    const header = this.headerBytes
    breaches.check(
      parts.every(({ write }) => !write),
      'a packet to be sent in a writable buffer (§5.1.6.2)',
    )
    this.checkFraming(parts.map(({ length }) => length))
    const bytes = Buffer.concat(
      parts.map(({ address, length }) => {
        const view = this.memory.at(address, length, 'packet to be sent')
        return new Uint8Array(view.buffer, view.byteOffset, length)
      }),
    )
    // Nothing of it was negotiated, and num_buffers is to be 0 (§5.1.6.2.1).
    breaches.check(
      bytes.subarray(0, header).every((byte) => byte === 0),
      'a header that is not empty (§5.1.6.2.1)',
    )
    return Uint8Array.from(bytes.subarray(header))
  }

  /** Without ANY_LAYOUT or VERSION_1 the header is alone in its descriptor, and the packet in the other one (§5.1.6.6). */
  private checkFraming(lengths: readonly number[]): void {
    const free = this.has(BIT.VERSION_1) || this.has(BIT.ANY_LAYOUT)
    this.breaches.check(
      free || (lengths.length === 2 && lengths[0] === this.headerBytes),
      'the header has no descriptor of its own (§5.1.6.6)',
    )
  }

  private write({ parts }: Chain, offset: number, bytes: Uint8Array): void {
    this.checkFraming(parts.map(({ length }) => length))
    let at = offset
    let done = 0
    for (const { address, length, write } of parts) {
      this.breaches.check(write, 'a receive buffer that is not writable (§5.1.6.3)')
      const here = Math.max(0, Math.min(length - at, bytes.length - done))
      if (here > 0) {
        const view = this.memory.at(address + at, here, 'receive buffer')
        new Uint8Array(view.buffer, view.byteOffset, here).set(bytes.subarray(done, done + here))
        done += here
      }
      at = Math.max(0, at - length)
    }
  }

  private command(): void {
    const queue = this.queues.get(this.controlQueue)
    const chain = queue?.take() ?? null
    if (queue === undefined || chain === null || !this.answersCommands) return
    const readable = chain.parts.filter(({ write }) => !write)
    const [ack] = chain.parts.filter(({ write }) => write)
    const [commandClass, command, ...data] = readable.flatMap(({ address, length }) => {
      const view = this.memory.at(address, length, 'command')
      return [...new Uint8Array(view.buffer, view.byteOffset, length)]
    })
    const name = `${commandClass}.${command}`
    this.commands.push(`${name}:${data.join(' ')}`)
    if (name === '4.0') this.activePairs = data[0] + data[1] * 256
    this.memory.at(ack.address, 1, 'ack').setUint8(0, this.refused.has(name) ? 1 : 0)
    queue.use(chain, 1)
  }
}

function capacity({ parts }: Chain): number {
  return parts.reduce((sum, { length }) => sum + length, 0)
}
