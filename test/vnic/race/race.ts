/**
 * A card and a guest that rewrites what the card reads, in two threads. All that the card's process has mapped beside the guest's
 * memory, before it and behind it, can't be touched: an access outside ends this program, by a trap of WebAssembly or by SIGSEGV.
 * What it says at its end is one JSON object. IXY_RACE_OPERATIONS: how many polls of
 * the card, frames and packets there are at least, all together, with any number of steps of the guest beside. IXY_RACE_SEED: which.
 */
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { offsetOf, put, type Register } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { createSealedMemfd } from '../../../src/linux/file.ts'
import {
  addressOf,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  mmap,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
} from '../../../src/linux/mapping.ts'
import { VirtualCard } from '../../../src/vnic/model/virtual-card.ts'
import { RegisterMemory } from '../../../src/vnic/register-memory.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { Ledger } from '../../../src/vnic/wires/ledger.ts'
import { parseWires } from '../../../src/vnic/wires/parse.ts'

const OPERATIONS = Number(process.env.IXY_RACE_OPERATIONS ?? 1_000_000)
const SEED = Number(process.env.IXY_RACE_SEED ?? 1)

const BYTES = 1 << 20
const BASE = 2 ** 33
const ENTRIES = 64
const LAYOUT = {
  base: BASE,
  rxRing: 0,
  txRing: 0x1000,
  entries: ENTRIES,
  buffers: 0x10000,
  bufferBytes: 2048,
  bufferCount: 256,
}
/** What the guest is told. */
export interface Guest {
  readonly layout: typeof LAYOUT
  readonly memoryFd: number
  readonly memoryBytes: number
  /** The pages with the tails, at their offsets in BAR0. */
  readonly doorbellFd: number
  /** Two 32-bit words: 1 when it is to end, and its steps. */
  readonly control: SharedArrayBuffer
  readonly seed: number
}

/** The ways in which the card runs, each for so many polls. */
const POLLS = 500
const CANARY = 0x5aa5c33c
const PATIENCE = 20_000

/** The guest's memory where the loops reach it, and nothing else there. */
function guardedMemory(fd: number): number {
  const space = sharedSpace()
  const at = space.map(BYTES, { fd, offset: 0, protection: PROT_READ | PROT_WRITE })
  if (at === null) throw new Error('no room for the guest')
  const { buffer } = space.memory
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED
  const forbid = (from: number, to: number): void => {
    if (to > from)
      mmap(to - from, { address: addressOf(buffer) + BigInt(from), protection: PROT_NONE, flags })
  }
  forbid(buffer.byteLength / 8, at)
  forbid(at + BYTES, buffer.byteLength)
  return at
}

const memoryFd = createSealedMemfd('ixy-ts-race', BYTES)
const canary = sharedSpace()
  .takeInts(1 << 18)
  .fill(CANARY)
const registers = new RegisterMemory()
const doorbellFd = registers.share()
const registerWords = new Uint32Array(registers.buffer)
const TDT = offsetOf(REG.TDT) >> 2
const RDT = offsetOf(REG.RDT) >> 2
const control = new SharedArrayBuffer(8)
const state = new Int32Array(control)
const at = guardedMemory(memoryFd)
const worker = new Worker(path.join(__dirname, 'writer.cjs'), {
  workerData: {
    layout: LAYOUT,
    memoryFd,
    memoryBytes: BYTES,
    doorbellFd,
    control,
    seed: SEED,
  } satisfies Guest,
})
worker.once('error', (error) => {
  throw error
})

let polls = 0
let now = 1000

function makeDevice(inspect: boolean, wire: string): VirtualCard {
  const context = { ledger: new Ledger(), linkMbit: 10_000, work: [], log: () => undefined }
  const device = new VirtualCard({
    mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    wire: parseWires(wire, context),
    strict: true,
    inspect,
    interrupts: { signal: () => undefined },
    bar0: registers.buffer,
  })
  device.dma.addPart(BASE, BYTES, true, sharedSpace().bytes, at)
  return device
}

/** One way to run, from reset to `POLLS` polls. */
function run(
  device: VirtualCard,
  { loopback, rss, legacy }: { loopback: boolean; rss: boolean; legacy: boolean },
): void {
  const write = (register: Register, value: number, index = 0): void =>
    device.registers.write(offsetOf(register, index), value >>> 0)
  const modify = (register: Register, set: number): void =>
    write(register, device.registers.read(offsetOf(register)) | set)
  const begin = (): void => {
    write(REG.RXDCTL, 0)
    write(REG.TXDCTL, 0)
    for (const [low, high, length, ring] of [
      [REG.RDBAL, REG.RDBAH, REG.RDLEN, LAYOUT.rxRing],
      [REG.TDBAL, REG.TDBAH, REG.TDLEN, LAYOUT.txRing],
    ] as const) {
      write(low, (BASE + ring) % 2 ** 32)
      write(high, Math.floor((BASE + ring) / 2 ** 32))
      write(length, ENTRIES * 16)
    }
    write(REG.RDH, 0)
    write(REG.TDH, 0)
    write(REG.SRRCTL, put(REG.SRRCTL.fields.BSIZEPACKET, 2) | put(REG.SRRCTL.fields.DESCTYPE, legacy ? 0 : 1))
    write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask | REG.RXDCTL.fields.VME.mask)
    write(REG.TXDCTL, REG.TXDCTL.fields.ENABLE.mask)
  }
  device.reset()
  device.config.write(4, Uint8Array.of(0x06, 0x00))
  const { UPE, MPE, BAM } = REG.FCTRL.fields
  write(REG.FCTRL, UPE.mask | MPE.mask | BAM.mask)
  modify(REG.HLREG0, (loopback ? REG.HLREG0.fields.LPBK.mask : 0) | REG.HLREG0.fields.JUMBOEN.mask)
  write(REG.MAXFRS, put(REG.MAXFRS.fields.MFS, 9018))
  if (rss) {
    write(REG.MRQC, 0x00330001)
    write(REG.RXCSUM, REG.RXCSUM.fields.PCSD.mask)
  }
  modify(REG.DMATXCTL, REG.DMATXCTL.fields.TE.mask)
  write(REG.RXCTRL, REG.RXCTRL.fields.RXEN.mask)
  for (let poll = 0; poll < POLLS; poll++) {
    if (poll % 10 === 0) begin()
    if (poll % 97 === 0) device.invalidate()
    // So that there is always something to do; the guest rings as well, with tails of all kinds.
    registerWords[TDT] = (device.registers.read(offsetOf(REG.TDH)) + ENTRIES - 1) % ENTRIES
    registerWords[RDT] = (device.registers.read(offsetOf(REG.RDH)) + ENTRIES - 1) % ENTRIES
    device.poll((now += 10))
  }
  polls += POLLS
}

async function main(): Promise<void> {
  const began = performance.now()
  while (Atomics.load(state, 1) === 0 && performance.now() - began < PATIENCE) await new Promise(setImmediate)
  // Views and tables of a device are never given back: as few as there must be.
  const devices = ['loop', 'sink', 'gen,rate=max'].flatMap((wire) => [
    makeDevice(true, wire),
    makeDevice(false, wire),
  ])
  const sum = (count: (device: VirtualCard) => number): number =>
    devices.reduce((total, device) => total + count(device), 0)
  const counts = (): { sent: number; received: number; invalid: number } => ({
    sent: sum(({ statistics }) => statistics.total(REG.GPTC)),
    received: sum(({ statistics }) => statistics.total(REG.RXDGPC)),
    invalid: sum(({ transmit }) => transmit.invalid),
  })
  const operations = (): number => {
    const { sent, received, invalid } = counts()
    return polls + sent + received + invalid
  }
  for (let way = 0; operations() < OPERATIONS; way++) {
    const device = devices[(way >> 3) % devices.length]
    run(device, { loopback: (way & 1) !== 0, rss: (way & 2) !== 0, legacy: (way & 4) !== 0 })
    await new Promise(setImmediate)
  }
  Atomics.store(state, 0, 1)
  await new Promise((resolve) => worker.once('exit', resolve))
  const intact = canary.every((word) => word === CANARY)
  const steps = Atomics.load(state, 1) >>> 0
  process.stdout.write(`${JSON.stringify({ operations: operations(), polls, ...counts(), steps, intact })}\n`)
  process.exit(intact ? 0 : 1)
}

void main()
