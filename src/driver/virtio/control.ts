/** Commands to the device, through a queue of their own (virtio 1.2 §5.1.6.5). One at a time, and waited for. */
import { IxyError } from '../../errors.ts'
import { pollUntil } from '../../linux/clock.ts'
import { viewOf } from '../../linux/mapping.ts'
import type { DmaArena, DmaBlock } from '../../memory/arena.ts'
import { packedLayout, splitLayout } from './layout.ts'
import { AVAIL, DESCRIPTOR_BYTES, EVENTS_DISABLE, NEXT, NO_INTERRUPT, USED, WRITE } from './queue-words.ts'
import type { QueueMemory } from './queue-memory.ts'

/** Class and command (§5.1.6.5.1, §5.1.6.5.5). */
export const COMMANDS = {
  PROMISCUOUS: [0, 0],
  ALL_MULTICAST: [0, 1],
  NO_MULTICAST: [0, 3],
  NO_UNICAST: [0, 4],
  NO_BROADCAST: [0, 5],
  SET_PAIRS: [4, 0],
} as const

export type CommandName = keyof typeof COMMANDS

const ACK_OK = 0
/** In the place of an answer. */
const NO_ANSWER = 0xff

/** A command's header, its data and the device's answer, 16 bytes apart. */
const HEADER = 0
const DATA = 16
const ACK = 32
export const COMMAND_BYTES = 48
/** Each of the three is in a descriptor of its own, as legacy devices may want it. */
const PARTS = 3

export class ControlQueue {
  private readonly device: string
  private readonly command: DmaBlock
  private readonly bytes: Uint8Array
  private readonly ring: Ring
  private readonly notify: () => void

  /** `notify` rings the queue's doorbell. The device must not know the queue yet. */
  constructor(
    device: string,
    arena: DmaArena,
    { block }: QueueMemory,
    entries: number,
    packed: boolean,
    notify: () => void,
  ) {
    this.device = device
    this.command = arena.take(COMMAND_BYTES)
    this.bytes = new Uint8Array(viewOf(this.command.address, COMMAND_BYTES))
    this.notify = notify
    const memory = viewOf(block.address, block.bytes)
    this.ring = packed ? new PackedRing(memory, entries) : new SplitRing(memory, entries)
  }

  /**
   * Waits for the device's answer; false if it refuses. Throws IXY_ERR_REGISTER if there is none within `deadline`
   * milliseconds. The device must have been started.
   */
  send(name: CommandName, data: readonly number[], deadline = 1000): boolean {
    const { bytes, command, ring } = this
    const [commandClass, number] = COMMANDS[name]
    bytes.set([commandClass, number], HEADER)
    bytes.set(data, DATA)
    bytes[ACK] = NO_ANSWER
    ring.offer([
      { iova: command.iova + HEADER, bytes: 2, write: false },
      { iova: command.iova + DATA, bytes: data.length, write: false },
      { iova: command.iova + ACK, bytes: 1, write: true },
    ])
    this.notify()
    if (!pollUntil(() => ring.takeUsed(), deadline, 0.1))
      throw new IxyError(
        'IXY_ERR_REGISTER',
        `${this.device}: no answer to the command ${name} after ${deadline} ms (virtio 1.2 §5.1.6.5)`,
        'start again; if that does not help, restart the virtual machine',
      )
    return Atomics.load(bytes, ACK) === ACK_OK
  }
}

interface Part {
  readonly iova: number
  readonly bytes: number
  readonly write: boolean
}

interface Ring {
  /** Makes a chain of PARTS descriptors available. The one before must have been used. */
  offer(parts: readonly Part[]): void
  /** True once the device has used it. */
  takeUsed(): boolean
}

class SplitRing implements Ring {
  private readonly halfs: Uint16Array
  private readonly view: DataView
  private readonly entries: number
  private readonly available: number
  private readonly used: number
  private offered = 0

  constructor(memory: ArrayBuffer, entries: number) {
    const layout = splitLayout(entries)
    this.halfs = new Uint16Array(memory)
    this.view = new DataView(memory)
    this.entries = entries
    this.available = layout.available >> 1
    this.used = layout.used >> 1
    this.halfs.fill(0)
    this.halfs[this.available] = NO_INTERRUPT
  }

  offer(parts: readonly Part[]): void {
    parts.forEach(({ iova, bytes, write }, i) => {
      const at = i * DESCRIPTOR_BYTES
      this.view.setBigUint64(at, BigInt(iova), true)
      this.view.setUint32(at + 8, bytes, true)
      this.view.setUint16(at + 12, (i < PARTS - 1 ? NEXT : 0) | (write ? WRITE : 0), true)
      this.view.setUint16(at + 14, i < PARTS - 1 ? i + 1 : 0, true)
    })
    this.halfs[this.available + 2 + (this.offered & (this.entries - 1))] = 0
    this.offered = (this.offered + 1) & 0xffff
    Atomics.store(this.halfs, this.available + 1, this.offered)
  }

  takeUsed(): boolean {
    return Atomics.load(this.halfs, this.used + 1) === this.offered
  }
}

class PackedRing implements Ring {
  private readonly halfs: Uint16Array
  private readonly view: DataView
  private readonly entries: number
  /** Where the next chain begins, and who descriptors there belong to in this round. */
  private at = 0
  private wrap = true
  private first = 0
  private firstWrap = true

  constructor(memory: ArrayBuffer, entries: number) {
    this.halfs = new Uint16Array(memory)
    this.view = new DataView(memory)
    this.entries = entries
    this.halfs.fill(0)
    this.halfs[(packedLayout(entries).driver >> 1) + 1] = EVENTS_DISABLE
  }

  /** The first descriptor's flags last: then the device sees all of the chain (§2.8.21). */
  offer(parts: readonly Part[]): void {
    this.first = this.at
    this.firstWrap = this.wrap
    let firstFlags = 0
    parts.forEach(({ iova, bytes, write }, i) => {
      const at = this.at * DESCRIPTOR_BYTES
      this.view.setBigUint64(at, BigInt(iova), true)
      this.view.setUint32(at + 8, bytes, true)
      this.view.setUint16(at + 12, 0, true)
      const flags = (i < PARTS - 1 ? NEXT : 0) | (write ? WRITE : 0) | (this.wrap ? AVAIL : USED)
      if (i === 0) firstFlags = flags
      else this.view.setUint16(at + 14, flags, true)
      this.at = (this.at + 1) % this.entries
      if (this.at === 0) this.wrap = !this.wrap
    })
    Atomics.store(this.halfs, (this.first * DESCRIPTOR_BYTES + 14) >> 1, firstFlags)
  }

  takeUsed(): boolean {
    const flags = Atomics.load(this.halfs, (this.first * DESCRIPTOR_BYTES + 14) >> 1)
    return (flags & (AVAIL | USED)) === (this.firstWrap ? AVAIL | USED : 0)
  }
}
