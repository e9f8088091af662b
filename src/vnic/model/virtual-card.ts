/**
 * The virtual 82599: all units put together, with the PCI function around them.
 *
 * Whoever runs it passes register accesses on (registers.read, registers.write, config.*), shares host memory (dma),
 * takes interrupts, and calls poll() as often as possible.
 */
import { REG } from '../../driver/ixgbe/registers.ts'
import { allocateBytes, type Bytes, copyBytes } from '../../packet/bytes.ts'
import { type Burst, FRAME_ROOM } from '../burst.ts'
import { deliverEach, type Port, sendEach, type Wire } from '../wires/wire.ts'
import { BAR4_BYTES, ConfigSpace, PBA_OFFSET } from './config-space.ts'
import { DmaMap } from './dma.ts'
import { FlowControl } from './flow-control.ts'
import { hookGeneral } from './general-registers.ts'
import { Interrupts, type InterruptSink } from './interrupts.ts'
import { Link } from './link.ts'
import { Mac } from './mac.ts'
import { Nvm } from './nvm.ts'
import { Receive } from './receive.ts'
import { checkBeforeReceive } from './receive-rules.ts'
import { CardRegisters } from './registers.ts'
import { SecurityBlocks } from './security.ts'
import { Statistics } from './statistics.ts'
import { Strict } from './strict.ts'
import { TimeSync } from './time-sync.ts'
import { Transmit } from './transmit.ts'
import type { Egress } from './tx-queue.ts'

/** Packets per queue and poll in each direction. */
const BUDGET = 256
/** Packets of all transmit queues together, or as many from the packet buffer: about a millisecond's work. */
const LIMIT = 2048

const CTRL = REG.CTRL.fields

export interface ModelOptions {
  /** Six bytes. */
  readonly mac: Uint8Array
  /** What is plugged into the port. */
  readonly wire: Wire
  /** Report breaches of the datasheet. */
  readonly strict: boolean
  /** Verify checksums and report packet types, as a card does. It takes time; some hosts never read what comes of it. */
  readonly inspect: boolean
  readonly interrupts: InterruptSink
  /** Memory of BAR0, BAR0_BYTES long. */
  readonly bar0: ArrayBufferLike
  /** The time that the card's own clock follows, milliseconds, monotonic. Default: performance.now(). */
  readonly clock?: () => number
}

export class VirtualCard implements Port, Egress {
  readonly strict: Strict
  readonly registers: CardRegisters
  readonly config: ConfigSpace
  readonly dma: DmaMap
  readonly interrupts: Interrupts
  readonly statistics: Statistics
  readonly link: Link
  readonly flow: FlowControl
  readonly timeSync: TimeSync
  readonly receive: Receive
  readonly transmit: Transmit
  /** BAR4: the MSI-X table and its pending bits. Stored only; vectors are masked and delivered by the client. */
  readonly bar4 = new Uint8Array(BAR4_BYTES)
  readonly pendingBits = this.bar4.subarray(PBA_OFFSET)

  private readonly wire: Wire
  private readonly nvm: Nvm
  private readonly security: SecurityBlocks
  private readonly mac: Uint8Array
  /** HLREG0.LPBK: what is sent is received again and the wire sees nothing (82599 §3.7.6). */
  private loopback = false
  private readonly looped = allocateBytes(FRAME_ROOM)
  private intxDisabled = false
  private now = 0
  private timers = Infinity
  /** When packets moved for the first and for the last time, milliseconds on the clock of poll(); 0: never. */
  readonly moved = new Float64Array(2)

  constructor(options: ModelOptions) {
    this.wire = options.wire
    this.mac = options.mac
    this.strict = new Strict(options.strict)
    this.registers = new CardRegisters(options.bar0, this.strict)
    this.dma = new DmaMap(this.strict)
    this.interrupts = new Interrupts(this.registers, options.interrupts)
    this.config = new ConfigSpace(
      options.mac,
      () => this.reset(),
      () => this.interrupts.pending,
    )
    this.statistics = new Statistics(this.registers)
    this.nvm = new Nvm(this.registers, this.strict, options.mac)
    this.security = new SecurityBlocks(this.registers, this.strict, () => this.update())
    this.link = new Link(this.registers, () => this.linkChanged())
    const { registers, dma, statistics, interrupts, strict } = this
    this.flow = new FlowControl(registers, statistics, (frame, length) => this.sendControl(frame, length))
    this.timeSync = new TimeSync(registers, options.clock ?? (() => performance.now()))
    const { flow, timeSync } = this
    const mac = new Mac(registers, statistics, (milliseconds) => {
      this.transmit.pausedUntil = this.now + milliseconds
    })
    this.receive = new Receive(registers, dma, statistics, interrupts, strict, options.inspect, {
      mac,
      flow,
      timeSync,
    })
    this.transmit = new Transmit(registers, dma, statistics, interrupts, strict)
    this.hook()
    this.reset()
  }

  private hook(): void {
    const { registers } = this
    hookGeneral(registers)
    registers.onWrite(REG.CTRL, (value) => {
      const { MASTER_DISABLE, LRST, RST } = CTRL
      // A reset also ends the master disable that has to come before it (82599 §5.2.5.3.2).
      if ((value & (LRST.mask | RST.mask)) !== 0) this.softReset()
      else registers.set(REG.CTRL, value & MASTER_DISABLE.mask)
      this.update()
    })
    registers.onWrite(REG.RXCTRL, (value) => {
      const { RXEN } = REG.RXCTRL.fields
      if ((value & RXEN.mask) !== 0 && !registers.test(REG.RXCTRL, RXEN.mask)) {
        checkBeforeReceive(registers, this.strict, this.config.busMaster)
        this.security.checkBeforeReceive()
      }
      registers.set(REG.RXCTRL, value & (RXEN.mask | REG.RXCTRL.fields.DMBYPS.mask))
      this.update()
    })
    registers.onRead(REG.FRTIMER, () => Math.floor(this.now * 1000) % 2 ** 32)
    registers.onWrite(REG.HLREG0, (value) => {
      registers.set(REG.HLREG0, value)
      this.update()
    })
  }

  /** CTRL.RST or LRST (82599 §4.2.1.6): everything but the pins, the EEPROM and the PCI function. */
  private softReset(): void {
    this.registers.reset([REG.ESDP])
    // The first packet buffer has all the memory.
    for (const register of [REG.RXPBSIZE, REG.TXPBSIZE, REG.TXPBTHRESH])
      for (let i = 1; i < register.count; i++) this.registers.set(register, 0, i)
    const { mac } = this
    this.registers.set(REG.RAL, (mac[0] | (mac[1] << 8) | (mac[2] << 16) | (mac[3] << 24)) >>> 0)
    this.registers.set(REG.RAH, (mac[4] | (mac[5] << 8) | REG.RAH.fields.AV.mask) >>> 0)
    this.registers.set(REG.MPSAR, 1)
    this.security.reset()
    this.nvm.reset()
    this.link.reset()
    this.interrupts.reset()
    this.statistics.reset()
    this.timeSync.reset()
    this.receive.reset()
    this.transmit.reset()
    this.update()
  }

  /** Function level reset, or a new client: everything but what the client has shared. */
  reset(): void {
    this.config.reset()
    this.registers.set(REG.ESDP, 0)
    this.softReset()
    this.bar4.fill(0)
  }

  /** Forgets every view of host memory. Call after the DMA map has changed. */
  invalidate(): void {
    this.receive.invalidate()
    this.transmit.invalidate()
  }

  private linkChanged(): void {
    this.update()
    this.interrupts.raiseOther(REG.EICR.fields.LSC.mask)
  }

  /** What depends on several registers at once. Call after a configuration write as well. */
  update(): void {
    const { registers, config } = this
    const master = config.busMaster && !registers.test(REG.CTRL, CTRL.MASTER_DISABLE.mask)
    this.loopback = registers.test(REG.HLREG0, REG.HLREG0.fields.LPBK.mask)
    const linked = this.link.up || this.loopback
    this.receive.running =
      master &&
      registers.test(REG.RXCTRL, REG.RXCTRL.fields.RXEN.mask) &&
      !registers.test(REG.SECRXCTRL, REG.SECRXCTRL.fields.RX_DIS.mask)
    this.receive.open = this.receive.running && linked
    this.transmit.open = master && linked && !registers.test(REG.SECTXCTRL, REG.SECTXCTRL.fields.TX_DIS.mask)
    this.receive.update()
    // What has stayed pending meanwhile is asserted now.
    if (this.intxDisabled && !config.intxDisabled) this.interrupts.resample()
    this.intxDisabled = config.intxDisabled
  }

  // Port: the wire's side of the connector.

  room(): number {
    return this.loopback ? 0 : this.receive.room()
  }

  deliver(memory: Bytes, offset: number, length: number, left?: number): boolean {
    if (this.loopback) {
      this.receive.unheard++
      return false
    }
    return this.receive.deliver(memory, offset, length, left)
  }

  control(memory: Bytes, offset: number, length: number): boolean {
    return !this.loopback && this.receive.control(memory, offset, length)
  }

  get pausedUntil(): number {
    return this.transmit.pausedUntil
  }

  deliverBurst(burst: Burst): number {
    return this.loopback ? deliverEach(this, burst) : this.receive.deliverBurst(burst)
  }

  listening(): boolean {
    return this.receive.open && !this.loopback
  }

  setLink(up: boolean): void {
    this.link.plug(up)
  }

  /** A frame of the MAC's own goes ahead of all that waits. What is looped back by the MAC itself needs none. */
  private sendControl(frame: Bytes, length: number): boolean {
    if (!this.link.up || this.loopback) return false
    this.wire.control?.(frame, 0, length)
    return true
  }

  // Egress: frames on their way out.

  send(memory: Bytes, offset: number, length: number, now: number): boolean {
    if (!this.loopback) return this.wire.send(memory, offset, length, now)
    // The receive path looks into it more than once, and meanwhile the host could change what is still in its own memory.
    const { looped } = this
    copyBytes(memory, offset, looped, 0, length)
    this.receive.deliver(looped, 0, length)
    return true
  }

  moment(): number {
    return this.timeSync.clock()
  }

  stamp(moment: number): void {
    if (this.timeSync.sent(moment) && !this.loopback) this.wire.stamped?.(moment)
  }

  sendBurst(burst: Burst, now: number): number {
    if (!this.loopback && this.wire.sendBurst !== undefined) return this.wire.sendBurst(burst, now)
    return sendEach(this, burst, now)
  }

  /**
   * Does what there is to do: sends, receives, raises interrupts. `now`: milliseconds on the monotonic clock.
   * Returns 0 if there was nothing; then nothing happens before nextEvent() unless somebody rings.
   */
  poll(now: number): number {
    this.now = now
    this.timers = Math.min(this.link.tick(now), this.interrupts.tick(now))
    this.flow.tick(now)
    let work = this.receive.drain(LIMIT)
    work += this.transmit.poll(this, BUDGET, LIMIT, now)
    try {
      work += this.wire.poll(this, BUDGET, now)
    } finally {
      // Also when the wire can't go on: what it has delivered by then counts.
      this.receive.flush()
    }
    if (work > 0) {
      const { moved } = this
      if (moved[0] === 0) moved[0] = now
      moved[1] = now
    }
    return work
  }

  /** When poll() has something to do by itself; Infinity if never. */
  nextEvent(now: number): number {
    const { pausedUntil } = this
    const pause = Math.min(pausedUntil > now ? pausedUntil : Infinity, this.flow.refreshAt)
    return Math.min(this.timers, pause, this.wire.nextEvent(now))
  }
}
