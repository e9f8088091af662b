/** The simplest host there can be: a device, its registers, memory it may use, rings written by hand. */
import { offsetOf, put, type Register } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { type Bytes, bytesOver } from '../../../src/packet/bytes.ts'
import { plainAccount, type WireAccount } from '../../../src/vnic/wires/account.ts'
import { Burst } from '../../../src/vnic/burst.ts'
import { VirtualCard } from '../../../src/vnic/model/virtual-card.ts'
import { BAR0_BYTES } from '../../../src/vnic/model/registers.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import type { Port, Wire, WireReport } from '../../../src/vnic/wires/wire.ts'

export const MAC = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x56)
/** Where the host's memory is for the device. */
export const BASE = 0x1_2340_0000
export const MEMORY_BYTES = 4 * 1024 * 1024
export const RX_RING = BASE
export const TX_RING = BASE + 0x10000
export const BUFFERS = BASE + 0x100000

const FRAME_AT = sharedSpace().take(16384)
/** Memory of the one fast host there can be at a time. */
export const MEMORY_AT = sharedSpace().take(MEMORY_BYTES)

/** Keeps what is sent; delivers what the test queues up. */
export class TestWire implements Wire {
  readonly sent: Uint8Array[] = []
  /** Frames of the card's own MAC. */
  readonly controls: Uint8Array[] = []
  readonly waiting: Uint8Array[] = []
  /** Frames it takes before it says no. */
  capacity = Infinity
  /** Delivers also where there is no descriptor. */
  regardless = false
  /** Results of the deliveries. */
  readonly delivered: boolean[] = []
  readonly wakeFds: readonly number[] = []
  readonly finite = false
  /** Not null: frames are delivered in bursts (of one). */
  private readonly burst: Burst | null

  constructor(fast = false) {
    this.burst = fast ? new Burst() : null
  }

  poll(port: Port, budget: number): number {
    let count = 0
    while (count < budget && this.waiting.length > 0 && (this.regardless || port.room() > 0)) {
      const frame = this.waiting.shift() as Uint8Array
      this.delivered.push(this.deliver(port, frame))
      count++
    }
    return count
  }

  private deliver(port: Port, frame: Uint8Array): boolean {
    const { burst } = this
    if (burst === null) return port.deliver(copy(frame), 0, frame.length)
    burst.offsets[0] = FRAME_AT
    burst.lengths[0] = frame.length
    burst.count = 1
    burst.memory.u8.set(frame, FRAME_AT)
    return port.deliverBurst(burst) === 1
  }

  control(memory: Bytes, offset: number, length: number): void {
    this.controls.push(memory.u8.slice(offset, offset + length))
  }

  send(memory: Bytes, offset: number, length: number): boolean {
    if (this.sent.length >= this.capacity) return false
    this.sent.push(memory.u8.slice(offset, offset + length))
    return true
  }
  nextEvent(): number {
    return Infinity
  }
  ended(): boolean {
    return false
  }
  stop(): void {
    this.waiting.length = 0
  }
  reports(): WireReport[] {
    return []
  }
  account(): WireAccount {
    return plainAccount({ offered: this.delivered.length, arrived: this.sent.length })
  }

  close(): void {
    this.waiting.length = 0
  }
}

/** A frame as a wire holds it: views over its own, word-aligned memory. */
export function copy(frame: Uint8Array): Bytes {
  const buffer = new ArrayBuffer((frame.length + 7) & ~3)
  new Uint8Array(buffer).set(frame)
  return bytesOver(buffer)
}

export class Host {
  readonly wire: TestWire
  readonly memory: Bytes
  readonly signals: number[] = []
  readonly device: VirtualCard
  now = 1000
  /** The time that the card's clock follows, milliseconds. */
  time = 1000

  /**
   * `fast`: everything is as the loops of src/vnic/wasm need it. Otherwise all frames go the long way. `plug`: what is in the
   * port in place of `wire`.
   */
  constructor({
    strict = true,
    share = true,
    fast = false,
    inspect = !fast,
    plug,
  }: { strict?: boolean; share?: boolean; fast?: boolean; inspect?: boolean; plug?: Wire } = {}) {
    this.wire = new TestWire(fast)
    const space = sharedSpace()
    const at = fast ? MEMORY_AT : 0
    this.memory = fast
      ? bytesOver(space.memory.buffer, at, MEMORY_BYTES)
      : bytesOver(new ArrayBuffer(MEMORY_BYTES))
    // Others have used it before; new memory is zero, and costs nothing where nobody writes.
    if (fast) this.memory.u8.fill(0)
    this.device = new VirtualCard({
      mac: MAC,
      wire: plug ?? this.wire,
      strict,
      inspect,
      interrupts: { signal: (vector) => this.signals.push(vector) },
      bar0: new ArrayBuffer(BAR0_BYTES),
      clock: () => this.time,
    })
    if (share) this.device.dma.addPart(BASE, MEMORY_BYTES, true, fast ? space.bytes : this.memory, at)
    this.device.config.write(4, Uint8Array.of(0x06, 0x00))
    this.device.update()
  }

  read(register: Register, index = 0): number {
    return this.device.registers.read(offsetOf(register, index))
  }

  write(register: Register, value: number, index = 0): void {
    this.device.registers.write(offsetOf(register, index), value >>> 0)
  }

  modify(register: Register, set: number, clear = 0, index = 0): void {
    this.write(register, (this.read(register, index) & ~clear) | set, index)
  }

  /** Lets time pass until the link has had time to come up, then polls. */
  poll(times = 1): number {
    let work = 0
    for (let i = 0; i < times; i++) work += this.device.poll((this.now += 1))
    return work
  }

  waitForLink(): void {
    for (let i = 0; i < 1000 && (this.read(REG.LINKS) & REG.LINKS.fields.LINK_UP.mask) === 0; i++) this.poll()
  }

  breaches(): string[] {
    return this.device.strict.breaches().map(({ rule }) => rule)
  }

  /** Reset and everything the datasheet asks for before the queues (82599 §4.6). */
  initialise(): void {
    this.write(REG.CTRL, REG.CTRL.fields.RST.mask)
    this.modify(REG.HLREG0, REG.HLREG0.fields.TXPADEN.mask)
    const { CRCSTRIP, RSCFRSTSIZE, RSCACKC, FCOE_WRFIX } = REG.RDRXCTL.fields
    this.modify(REG.RDRXCTL, CRCSTRIP.mask | RSCACKC.mask | FCOE_WRFIX.mask, RSCFRSTSIZE.mask)
    this.modify(REG.DMATXCTL, REG.DMATXCTL.fields.TE.mask)
  }

  /** A receive ring of `entries` descriptors with 2 KiB buffers (or `kib`), all but one handed over. */
  startReceive(entries = 64, { queue = 0, kib = 2, extra = 0, ring = RX_RING } = {}): void {
    this.write(REG.RDBAL, ring % 2 ** 32, queue)
    this.write(REG.RDBAH, Math.floor(ring / 2 ** 32), queue)
    this.write(REG.RDLEN, entries * 16, queue)
    this.write(
      REG.SRRCTL,
      put(REG.SRRCTL.fields.BSIZEPACKET, kib) | put(REG.SRRCTL.fields.DESCTYPE, 1),
      queue,
    )
    for (let i = 0; i < entries; i++) this.armReceive(i, kib, ring)
    this.write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask | extra, queue)
    this.write(REG.RDT, entries - 1, queue)
  }

  armReceive(index: number, kib = 2, ring = RX_RING): void {
    const word = (ring - BASE + index * 16) >> 2
    const buffer = BUFFERS + (ring - RX_RING) * 16 + index * kib * 1024
    this.memory.u32.set([buffer % 2 ** 32, Math.floor(buffer / 2 ** 32), 0, 0], word)
  }

  /** With the path through the security block closed and empty (82599 §4.6.7). */
  enableReceive(): void {
    const { RX_DIS } = REG.SECRXCTRL.fields
    this.modify(REG.SECRXCTRL, RX_DIS.mask)
    this.read(REG.SECRXSTAT)
    this.modify(REG.RXCTRL, REG.RXCTRL.fields.RXEN.mask)
    this.modify(REG.SECRXCTRL, 0, RX_DIS.mask)
  }

  acceptAll(): void {
    const { UPE, MPE, BAM } = REG.FCTRL.fields
    this.write(REG.FCTRL, UPE.mask | MPE.mask | BAM.mask)
  }

  /** A written-back receive descriptor. */
  received(
    index: number,
    { kib = 2, ring = RX_RING } = {},
  ): {
    words: number[]
    status: number
    length: number
    data: Uint8Array
  } {
    const word = (ring - BASE + index * 16) >> 2
    const words = Array.from(this.memory.u32.subarray(word, word + 4))
    const length = words[3] & 0xffff
    const at = BUFFERS - BASE + (ring - RX_RING) * 16 + index * kib * 1024
    return { words, status: words[2], length, data: this.memory.u8.slice(at, at + length) }
  }

  startTransmit(entries = 64, queue = 0, ring = TX_RING): void {
    this.write(REG.TDBAL, ring % 2 ** 32, queue)
    this.write(REG.TDBAH, Math.floor(ring / 2 ** 32), queue)
    this.write(REG.TDLEN, entries * 16, queue)
    this.write(REG.TXDCTL, REG.TXDCTL.fields.ENABLE.mask, queue)
  }

  /** Writes a descriptor of four words. */
  describe(index: number, words: readonly number[], ring = TX_RING): void {
    this.memory.u32.set(
      words.map((word) => word >>> 0),
      (ring - BASE + index * 16) >> 2,
    )
  }

  /** Puts bytes into a transmit buffer and returns its address. */
  place(slot: number, bytes: Uint8Array): number {
    const offset = 0x300000 + slot * 4096
    this.memory.u8.set(bytes, offset)
    return BASE + offset
  }

  /** Word 3 of a transmit descriptor. */
  transmitStatus(index: number, ring = TX_RING): number {
    return this.memory.u32[((ring - BASE + index * 16) >> 2) + 3]
  }

  /** A frame in one data descriptor. */
  queueFrame(index: number, frame: Uint8Array, report = true): void {
    const at = this.place(index % 200, frame)
    const command = 0x23300000 | (report ? 1 << 27 : 0)
    this.describe(index, [at % 2 ** 32, Math.floor(at / 2 ** 32), command | frame.length, frame.length << 14])
  }
}

/** A host that is ready to send and receive everything. */
export function runningHost(options: ConstructorParameters<typeof Host>[0] = {}): Host {
  const host = new Host(options)
  host.initialise()
  host.acceptAll()
  host.startReceive()
  host.startTransmit()
  host.enableReceive()
  host.waitForLink()
  return host
}

/** A frame to `to` whose bytes count upwards. */
export function frameOf(length: number, to: Uint8Array = MAC): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => i & 0xff)
  frame.set(to)
  frame.set([0x02, 0, 0, 0, 0, 1], 6)
  frame.set([0x88, 0xb5], 12)
  return frame
}
