/**
 * Link flow control, the side that asks for silence (82599 §3.7.7.3): PAUSE frames, by how full the packet buffer is.
 *
 *     bytes in it
 *         ▲            XOFF    XOFF again, after FCTTV - FCRTV
 *     RTH │╌╌╌╌╌╌╌╌╌╌╌╱▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔╲
 *         │         ╱                   ╲
 *     RTL │╌╌╌╌╌╌╌╱╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╲ XON, with FCRTL.XONE
 *
 * Without XON the link partner sends again when its time is over. Priority flow control is not modelled.
 */
import { get } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { allocateBytes, type Bytes } from '../../packet/bytes.ts'
import { MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import { MAC_CONTROL, PAUSE, PAUSE_ADDRESS, QUANTUM_MS } from './mac-control.ts'
import type { CardRegisters } from './registers.ts'
import type { Statistics } from './statistics.ts'

/** FCCFG.TFCE: IEEE 802.3x (82599 §8.2.3.3.7). */
const LINK_FLOW_CONTROL = 1

export class FlowControl {
  /** When XOFF is due again, milliseconds on the clock of tick(); Infinity: it isn't. */
  refreshAt = Infinity
  private readonly registers: CardRegisters
  private readonly statistics: Statistics
  private readonly send: (frame: Bytes, length: number) => boolean
  private readonly frame = allocateBytes(MIN_FRAME_BYTES)
  /** More bytes than this in the packet buffer ask for silence; Infinity: whatever is in there. */
  private high = Infinity
  private low = 0
  private now = 0
  /** XOFF was sent, and not XON since. */
  private asking = false

  /** `send` puts a frame of the MAC's own on the wire; false if there is no link. */
  constructor(
    registers: CardRegisters,
    statistics: Statistics,
    send: (frame: Bytes, length: number) => boolean,
  ) {
    this.registers = registers
    this.statistics = statistics
    this.send = send
    const { u8 } = this.frame
    u8.set(PAUSE_ADDRESS)
    u8.set([MAC_CONTROL >> 8, MAC_CONTROL & 0xff, PAUSE >> 8, PAUSE & 0xff], 12)
    for (const register of [REG.FCCFG, REG.FCRTH, REG.FCRTL])
      registers.onWrite(register, (value, index) => {
        registers.set(register, value, index)
        this.update()
      })
  }

  reset(): void {
    this.update()
    this.end()
  }

  private update(): void {
    const { registers } = this
    const high = registers.get(REG.FCRTH)
    const on =
      get(REG.FCCFG.fields.TFCE, registers.get(REG.FCCFG)) === LINK_FLOW_CONTROL &&
      (high & REG.FCRTH.fields.FCEN.mask) !== 0
    this.high = on ? high & REG.FCRTH.fields.RTH.mask : Infinity
    this.low = registers.get(REG.FCRTL) & REG.FCRTL.fields.RTL.mask
    if (!on) this.end()
  }

  private end(): void {
    this.asking = false
    this.refreshAt = Infinity
  }

  /** The packet buffer holds so many bytes now. */
  level(bytes: number): void {
    if (!this.asking) {
      if (bytes > this.high) this.xoff()
    } else if (bytes <= this.low) {
      this.end()
      if (this.registers.test(REG.FCRTL, REG.FCRTL.fields.XONE.mask)) this.pause(REG.LXONTXC, 0)
    }
  }

  /** Call in each poll. */
  tick(now: number): void {
    this.now = now
    if (now >= this.refreshAt) this.xoff()
  }

  /** "FCTTV - FCRTV" is the time until it is repeated (82599 §8.2.3.3.5). */
  private xoff(): void {
    const quanta = get(REG.FCTTV.fields.TTV0, this.registers.get(REG.FCTTV))
    const before = get(REG.FCRTV.fields.FC_REFRESH_TH, this.registers.get(REG.FCRTV))
    this.asking = true
    this.refreshAt = this.now + Math.max(quanta - before, 1) * QUANTUM_MS
    this.pause(REG.LXOFFTXC, quanta)
  }

  private pause(counter: typeof REG.LXOFFTXC, quanta: number): void {
    const { registers, frame } = this
    const low = registers.get(REG.RAL)
    const high = registers.get(REG.RAH)
    for (let i = 0; i < 6; i++) frame.u8[6 + i] = i < 4 ? low >>> (i << 3) : high >>> ((i - 4) << 3)
    frame.u8[16] = quanta >> 8
    frame.u8[17] = quanta & 0xff
    if (this.send(frame, MIN_FRAME_BYTES)) this.statistics.addPause(counter)
  }
}
