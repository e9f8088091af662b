/** The receive path: from the wire through filters and steering into a queue (82599 §7.1). */
import { REG } from '../../driver/ixgbe/registers.ts'
import type { Bytes } from '../../packet/bytes.ts'
import { FCS_BYTES, HEADER_BYTES, MIN_FRAME_BYTES, VLAN_TAG_BYTES } from '../../packet/ethernet.ts'
import type { Burst } from '../burst.ts'
import { crc32 } from './crc32.ts'
import type { DmaMap } from './dma.ts'
import { Filters } from './filters.ts'
import type { FlowControl } from './flow-control.ts'
import { FrameEditor } from './frame-editor.ts'
import type { Interrupts } from './interrupts.ts'
import type { Mac } from './mac.ts'
import { PacketBuffer } from './packet-buffer.ts'
import { PacketInfo } from './packet-info.ts'
import { watchDcaControl } from './receive-rules.ts'
import type { CardRegisters } from './registers.ts'
import { hookRings } from './ring.ts'
import { verifyChecksums } from './rx-checksum.ts'
import { NOT_LOOKED_INTO, RX_REGISTERS, RxQueue, RxStatus } from './rx-queue.ts'
import { castSum, counterSet, type Statistics, Sum } from './statistics.ts'
import { Steering } from './steering.ts'
import type { Strict } from './strict.ts'
import type { TimeSync } from './time-sync.ts'

/** What became of a frame on its way from the MAC to the host: it has no descriptor and may wait for one, say. */
const Fate = { TAKEN: 0, DROPPED: 1, WAITS: 2 } as const
type Fate = (typeof Fate)[keyof typeof Fate]

export class Receive {
  readonly mac: Mac
  readonly filters: Filters
  readonly queues: readonly RxQueue[]
  /** Frames come in: RXCTRL.RXEN is set and nothing else holds them back. Set by the device. */
  open = false
  /** Frames may be written into the host's memory. Set by the device. */
  running = false
  /** Frames that were in the packet buffer at a reset. They are gone, and no register counts them. */
  forgotten = 0
  /** Frames that came while reception was off or the link down. As on a card, no register counts them. */
  unheard = 0
  /** Frames for another address or VLAN. No register counts those either. */
  filtered = 0
  /** Verify IP and TCP/UDP checksums and report packet types, as a card always does (82599 §7.1.11). */
  private readonly inspectAll: boolean
  private readonly registers: CardRegisters
  private readonly statistics: Statistics
  private readonly interrupts: Interrupts
  private readonly timeSync: TimeSync
  private readonly steering: Steering
  private readonly info = new PacketInfo()
  private readonly editor = new FrameEditor()
  /** Queues that are enabled, so that a poll looks at these only. */
  private active: RxQueue[] = []
  private missed = 0
  private readonly waiting: PacketBuffer
  /** Frames must be looked into: for VLAN tags, checksums, the FCS. The filters and the steering say so themselves. */
  private inspect = true
  private stripCrc = true

  constructor(
    registers: CardRegisters,
    dma: DmaMap,
    statistics: Statistics,
    interrupts: Interrupts,
    strict: Strict,
    inspectAll: boolean,
    { mac, flow, timeSync }: { mac: Mac; flow: FlowControl; timeSync: TimeSync },
  ) {
    this.inspectAll = inspectAll
    this.mac = mac
    this.waiting = new PacketBuffer(registers, flow)
    this.timeSync = timeSync
    this.registers = registers
    this.statistics = statistics
    this.interrupts = interrupts
    this.filters = new Filters(registers, strict)
    this.steering = new Steering(registers, strict, interrupts)
    this.queues = Array.from(
      { length: REG.RXDCTL.count },
      (_, index) => new RxQueue(index, registers, dma, strict),
    )
    hookRings(RX_REGISTERS, this.queues, registers, strict, (queue) => {
      queue.configure()
      // Once it is off, nobody does.
      this.flushQueue(queue)
      this.active = this.queues.filter(({ enabled }) => enabled)
      this.update()
    })
    registers.onWrite(REG.SRRCTL, (value, index) => {
      registers.set(REG.SRRCTL, value, index)
      this.queues[index].configure()
    })
    watchDcaControl(registers, strict)
  }

  reset(): void {
    for (const queue of this.queues) queue.reset()
    this.active = []
    this.mac.reset()
    this.missed = 0
    this.forgotten += this.buffered
    this.waiting.clear()
    this.filters.update()
    this.steering.reset()
    this.update()
  }

  /** Views of host memory may have become invalid. */
  invalidate(): void {
    for (const queue of this.queues) queue.invalidate()
  }

  /** Takes over what the registers say. */
  update(): void {
    const { registers } = this
    this.mac.update()
    this.stripCrc = registers.test(REG.HLREG0, REG.HLREG0.fields.RXCRCSTRP.mask)
    this.inspect = this.inspectAll || !this.stripCrc || this.active.some((queue) => queue.stripVlan)
  }

  /** Frames that are in the packet buffer now. */
  get buffered(): number {
    return this.waiting.frames.frames
  }

  /** How many frames of the largest size find descriptors in whichever queue that is on; 0 while any wait for one. */
  room(): number {
    if (!this.open || this.active.length === 0 || !this.waiting.frames.empty) return 0
    let least = Infinity
    for (const queue of this.active) {
      const perFrame = Math.ceil(this.mac.maxFrame / queue.bufferBytes)
      least = Math.min(least, Math.floor(queue.refresh() / perFrame))
    }
    return least
  }

  /** A frame from the wire. Returns false if it was dropped, see Port; one that waits in the packet buffer is not. */
  deliver(memory: Bytes, offset: number, length: number, left?: number): boolean {
    if (!this.open) {
      this.unheard++
      return false
    }
    if (length < MIN_FRAME_BYTES) return this.deliverShort(memory, offset, length)
    if (!this.mac.admits(memory.u8, offset, length, this.filters.vlanType)) return false
    return this.accept(memory, offset, length, left)
  }

  /**
   * A frame of the link partner's MAC (PAUSE), which comes between the others. Returns true if it goes on to the host, and so is
   * a frame like the others. What the MAC keeps is in no count of frames but its own registers.
   */
  control(memory: Bytes, offset: number, length: number): boolean {
    if (!this.open || !this.mac.passesControl(memory.u8, offset)) return false
    this.mac.arrive(length)
    this.accept(memory, offset, length)
    return true
  }

  /** A frame that has passed the MAC. */
  private accept(memory: Bytes, offset: number, length: number, left?: number): boolean {
    if (!this.filters.open && !this.filters.accepts(memory.u8, offset)) {
      this.filtered++
      return false
    }
    const { waiting, timeSync } = this
    const stamped =
      timeSync.receiving && timeSync.received(memory.u8, offset, length, this.filters.vlanType, left)
    const fate = waiting.frames.empty ? this.toHost(memory, offset, length, stamped) : Fate.WAITS
    if (fate !== Fate.WAITS) return fate === Fate.TAKEN
    return waiting.push(memory, offset, length, stamped) || this.miss()
  }

  /** Up to `limit` frames that have waited in the packet buffer; returns how many no longer do. */
  drain(limit: number): number {
    const { waiting } = this
    const { frames } = waiting
    let count = 0
    while (count < limit && !frames.empty && this.running) {
      if (this.toHost(frames.memory, frames.offset, frames.length, waiting.stamped) === Fate.WAITS) break
      waiting.shift()
      count++
    }
    if (count > 0) waiting.drained()
    return count
  }

  private toHost(memory: Bytes, offset: number, length: number, stamped: boolean): Fate {
    if (this.inspect || this.steering.enabled || this.filters.byVlan || stamped)
      return this.inspected(memory, offset, length, stamped)
    const queue = this.queues[0]
    if (!queue.put(memory, offset, length, 0, 0, 0, 0)) return this.full(queue)
    if ((memory.u8[offset] & 1) === 1) queue.sums[castSum(memory.u8, offset)]++
    return Fate.TAKEN
  }

  /** Frames from the wire, in one go as far as they go the fast way. Returns how many were not dropped. */
  deliverBurst(burst: Burst): number {
    const { arrivals, maxFrame } = this.mac
    const { memory, offsets, lengths, first, count } = burst
    const queue = this.queues[0]
    const looks = this.steering.enabled || this.timeSync.receiving || !this.stripCrc
    const plain = this.open && this.filters.open && !looks && (this.inspectAll || !this.inspect)
    const vlanType = this.inspectAll ? this.filters.vlanType : NOT_LOOKED_INTO
    let delivered = 0
    for (let done = 0; done < count; done++) {
      if (plain && this.waiting.frames.empty) {
        const bytes = queue.sums[Sum.BYTES]
        const put = queue.putBurst(burst, done, maxFrame, vlanType)
        arrivals[0] += put
        arrivals[1] += queue.sums[Sum.BYTES] - bytes
        delivered += put
        done += put
        if (done === count) break
      }
      if (this.deliver(memory, offsets[first + done], lengths[first + done])) delivered++
    }
    return delivered
  }

  /** What comes shorter from a wire was padded on the way. */
  private deliverShort(memory: Bytes, offset: number, length: number): boolean {
    if (length < HEADER_BYTES) {
      this.statistics.add(REG.RUC)
      return false
    }
    return this.deliver(this.editor.pad(memory, offset, length), 0, MIN_FRAME_BYTES)
  }

  private inspected(memory: Bytes, offset: number, length: number, stamped: boolean): Fate {
    const { info, steering, filters } = this
    info.parse(memory.u8, offset, length, filters.vlanType)
    if (!filters.acceptsVlan(info.vlan)) {
      this.filtered++
      return Fate.DROPPED
    }
    steering.steer(memory.u8, offset, length, info)
    const queue = this.queues[steering.queue]
    let status = steering.status | (this.inspectAll ? verifyChecksums(memory.u8, offset, info) : 0)
    let from = memory
    let at = offset
    let bytes = length
    let tag = 0
    if (stamped) status |= RxStatus.TS
    if (info.vlan >= 0 && queue.stripVlan) {
      from = this.editor.removeTag(memory, offset, length)
      at = 0
      bytes = length - VLAN_TAG_BYTES
      tag = info.vlan
      status |= RxStatus.VP
    }
    if (!this.stripCrc) {
      from = this.editor.appendCrc(from, at, bytes, crc32(memory.u8, offset, length))
      at = 0
      bytes += FCS_BYTES
    }
    if (!queue.put(from, at, bytes, steering.word0, steering.hash, status, tag)) {
      const fate = this.full(queue)
      if (fate !== Fate.WAITS) steering.settle()
      return fate
    }
    steering.settle()
    if ((status & (RxStatus.IPE | RxStatus.L4E)) !== 0) this.statistics.add(REG.XEC)
    // The MAC counts the frame as it came.
    queue.sums[Sum.BYTES] += length - bytes
    if ((memory.u8[offset] & 1) === 1) queue.sums[castSum(memory.u8, offset)]++
    return Fate.TAKEN
  }

  /** No descriptor. A queue that is off or has SRRCTL.DROP_EN doesn't hold up the others (82599 §7.1.2). */
  private full(queue: RxQueue): Fate {
    if (queue.enabled && !queue.dropEnabled) return Fate.WAITS
    this.statistics.add(REG.QPRDC, 1, counterSet(this.registers, REG.RQSMR, queue.index))
    return Fate.DROPPED
  }

  /** The packet buffer is full. On this card GPRC has counted the frame already. */
  private miss(): false {
    this.statistics.add(REG.MPC)
    this.statistics.add(REG.GPRC)
    this.missed++
    return false
  }

  /** Once per poll, after frames were delivered: counters, heads, interrupts. */
  flush(): void {
    this.mac.flush()
    for (const queue of this.active) this.flushQueue(queue)
    if (this.missed > 0) {
      this.missed = 0
      this.interrupts.raiseOther(REG.EICR.fields.RX_MISS.mask)
    }
  }

  private flushQueue(queue: RxQueue): void {
    if (queue.sums[Sum.PACKETS] === 0) return
    this.statistics.addReceived(queue.sums, counterSet(this.registers, REG.RQSMR, queue.index), this.stripCrc)
    queue.publishHead()
    this.interrupts.queueEvent(false, queue.index)
  }
}
