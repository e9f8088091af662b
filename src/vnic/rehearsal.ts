/**
 * A dress rehearsal of the model, for the reason told in src/apps/warm-up.ts: a card that is slow while V8 compiles it would
 * lose packets in the first second. A NIC that nobody else sees sends generated frames to a host of a few lines, which
 * forwards them, until all of that is machine code.
 */
import { offsetOf, put, type Register } from '../driver/intel/register.ts'
import { REG } from '../driver/ixgbe/registers.ts'
import { sleepMilliseconds } from '../linux/clock.ts'
import { rehearseLoop } from './loop-rehearsal.ts'
import { VirtualCard } from './model/virtual-card.ts'
import { BAR0_BYTES } from './model/registers.ts'
import { DESCRIPTOR_BYTES } from './model/ring.ts'
import { RxStatus } from './model/rx-queue.ts'
import { PAYLEN_SHIFT, RS, SIMPLE } from './model/tx-descriptor.ts'
import { sharedSpace } from './space.ts'
import { GenWire } from './wires/gen.ts'
import { Ledger } from './wires/ledger.ts'

/** Polls, a millisecond apart, and how often the host is away for how many of them: the packet buffer fills up, too. */
const POLLS = 1600
const AWAY_EVERY = 400
const AWAY = 150
/** Pause in the middle of the first and at the end of the last, milliseconds: V8 compiles in threads of its own. */
const PAUSE = 20
/** Frames per second of the source that sends by the clock. Like the times below no whole number, as in real runs: see IOVA. */
const RATE = 300_000.3
const ENTRIES = 512
const BUFFER_BYTES = 2048
/** Both rings, then the buffers. */
const BUFFERS = 2 * ENTRIES * DESCRIPTOR_BYTES
const BYTES = BUFFERS + ENTRIES * BUFFER_BYTES
const FRAME = 60
/**
 * Where the device sees the memory. No small number: V8 compiles for those apart, and throws the code away, with all
 * that depends on it, when the first of another kind comes.
 */
const IOVA = 2 ** 40

/**
 * To be called before the first NIC is made: V8 would have to convert objects that are older than what it learns here.
 * Sources of all kinds, as all must be known. Returns how many frames went through: none with IXY_TS_REHEARSAL=0, for
 * scripts of many short runs, whose cards may be slow at first. Throws IXY_ERR_SYSTEM if there is no address space for the
 * NICs.
 */
export function rehearse(): number {
  if (process.env['IXY_TS_REHEARSAL'] === '0') return 0
  // What the later ones add to the first is compiled while they run.
  const received =
    rehearseWith(null, true, PAUSE) + rehearseWith(RATE, false, 0) + rehearseWith(RATE, true, 0)
  const begin = performance.now()
  rehearseLoop()
  sleepMilliseconds(Math.max(0, PAUSE - (performance.now() - begin)))
  return received
}

/** `pause`: in the middle, milliseconds. Returns how many frames went through. */
function rehearseWith(rate: number | null, waits: boolean, pause: number): number {
  const space = sharedSpace()
  const memory = space.take(BYTES)
  const options = { sizes: [FRAME], flows: 1, rate, waits, count: null }
  const ledger = new Ledger()
  const device = new VirtualCard({
    mac: Uint8Array.of(2, 0, 0, 0, 0, 0),
    wire: new GenWire('gen', options, ledger, true),
    strict: true,
    inspect: false,
    interrupts: { signal: () => undefined },
    bar0: new ArrayBuffer(BAR0_BYTES),
  })
  device.dma.addPart(IOVA, BYTES, true, space.bytes, memory)
  const words = space.bytes.u32.subarray(memory >> 2, (memory + BYTES) >> 2)
  for (let i = 0; i < ENTRIES; i++) setAddress(words, i << 2, BUFFERS + i * BUFFER_BYTES)
  initialise(device)
  const forward = new Forwarder(device, words)
  for (let now = 0; now < POLLS; now++) {
    device.poll(now + 0.3)
    device.nextEvent(now + 0.3)
    if (now % AWAY_EVERY < AWAY_EVERY - AWAY) forward.poll()
    if (now === POLLS / 2) sleepMilliseconds(pause)
  }
  return ledger.tally(0).received
}

/** What a driver does (82599 §4.6.3), without waiting for anything. */
function initialise(device: VirtualCard): void {
  const write = (register: Register, value: number): void => device.registers.write(offsetOf(register), value)
  device.config.write(4, Uint8Array.of(0x06, 0x00))
  device.update()
  const { UPE, MPE, BAM } = REG.FCTRL.fields
  // Each second poll raises an interrupt too early.
  write(REG.GPIE, REG.GPIE.fields.MULTIPLE_MSIX.mask)
  write(REG.IVAR, REG.IVAR.fields.RX_EVEN_VAL.mask)
  write(REG.EITR, REG.EITR.fields.ITR_INTERVAL.mask)
  write(REG.EIAC, 1)
  write(REG.EIMS, 1)
  write(REG.FCTRL, UPE.mask | MPE.mask | BAM.mask)
  write(REG.RDBAH, IOVA / 2 ** 32)
  write(REG.RDLEN, ENTRIES * DESCRIPTOR_BYTES)
  write(REG.SRRCTL, put(REG.SRRCTL.fields.BSIZEPACKET, 2) | put(REG.SRRCTL.fields.DESCTYPE, 1))
  write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask)
  write(REG.RDT, ENTRIES - 1)
  write(REG.DMATXCTL, device.registers.get(REG.DMATXCTL) | REG.DMATXCTL.fields.TE.mask)
  write(REG.TDBAH, IOVA / 2 ** 32)
  write(REG.TDBAL, ENTRIES * DESCRIPTOR_BYTES)
  write(REG.TDLEN, ENTRIES * DESCRIPTOR_BYTES)
  write(REG.TXDCTL, REG.TXDCTL.fields.ENABLE.mask)
  write(REG.SECRXCTRL, REG.SECRXCTRL.fields.RX_DIS.mask)
  device.registers.read(offsetOf(REG.SECRXSTAT))
  write(REG.RXCTRL, REG.RXCTRL.fields.RXEN.mask)
  write(REG.SECRXCTRL, 0)
}

/** Writes the address of what is `offset` bytes into the memory. */
function setAddress(words: Uint32Array, at: number, offset: number): void {
  words[at] = offset
  words[at + 1] = IOVA / 2 ** 32
}

/** Sends what has arrived out of the same buffers. */
class Forwarder {
  private readonly device: VirtualCard
  /** The receive ring, then the transmit ring. */
  private readonly words: Uint32Array
  private index = 0

  constructor(device: VirtualCard, words: Uint32Array) {
    this.device = device
    this.words = words
  }

  poll(): void {
    const { words } = this
    let index = this.index
    let last = -1
    for (let i = 0; i < ENTRIES; i++) {
      const rx = index << 2
      if ((words[rx + 2] & RxStatus.DD) === 0) break
      const tx = rx + (ENTRIES << 2)
      setAddress(words, rx, BUFFERS + index * BUFFER_BYTES)
      setAddress(words, tx, BUFFERS + index * BUFFER_BYTES)
      words[tx + 2] = SIMPLE | words[rx + 3]
      words[tx + 3] = words[rx + 3] << PAYLEN_SHIFT
      words[rx + 2] = words[rx + 3] = 0
      last = tx
      index = (index + 1) % ENTRIES
    }
    if (last < 0) return
    // The last of a batch asks for its status (82599 §7.2.3.2.4).
    words[last + 2] |= RS
    this.index = index
    // As a client that maps the doorbells: no message.
    this.device.registers.set(REG.RDT, (index + ENTRIES - 1) % ENTRIES)
    this.device.registers.set(REG.TDT, index)
  }
}
