/** What differs from packet to packet besides size and number: addresses, ports, and the checksums over all of it. */
import type { PacketChecksum, RecipeField } from '../../driver/recipe.ts'
import type { PacketMemory } from '../../memory/packets.ts'
import { write16, write32 } from '../../packet/big-endian.ts'
import { finishSum } from '../../packet/checksum.ts'
import { ENTROPY_SHIFT, FIRST_ENTROPY_PORT, GOLDEN } from '../../packet/entropy.ts'
import type { Share } from './options.ts'
import type { FramePlan } from './templates/frame-plan.ts'

/** Where a frame has no such thing. */
const NOWHERE = -1

/**
 * Writes the fields of a plan. A checksum is made of a sum that the plan knows, and of the words that differ: nothing of the packet
 * is read. Field by field, a batch each time, so that what a field needs stands in registers.
 */
export class PacketFields {
  /** There is nothing to write. */
  readonly none: boolean
  private readonly memory: PacketMemory
  private readonly plan: FramePlan
  private readonly sizes: Int32Array
  private readonly step: number
  /** Of each field: how far behind its first value it is, and how far it goes on from one packet to this worker's next. */
  private readonly digits: Int32Array
  private readonly steps: Int32Array
  private readonly seeds: Int32Array
  /** By packet of a batch: 1 where the field before has come around. */
  private readonly carries: Uint8Array
  /** By packet of a batch: sums of the words written, of what reaches checksums of IP, of the transport header, and none of these. */
  private readonly addresses: Int32Array
  private readonly ports: Int32Array
  private readonly link: Int32Array
  private readonly ip: Int32Array
  private readonly transport: Int32Array
  private readonly outer: Int32Array
  private readonly hasChecksums: boolean

  constructor(memory: PacketMemory, plan: FramePlan, { index, of }: Share) {
    const { fields, seed, ip, transport, outer, echoSequence, entropyPort, templates } = plan
    const most = 1 << memory.poolShift
    this.memory = memory
    this.plan = plan
    this.sizes = Int32Array.from(templates, (frame) => frame.length)
    this.step = of
    this.digits = digitsOf(plan, index)
    this.steps = digitsOf(plan, of)
    this.seeds = Int32Array.from(fields, (_, i) => mix((seed + Math.imul(i + 1, GOLDEN)) | 0))
    this.carries = new Uint8Array(most)
    this.addresses = new Int32Array(most)
    this.ports = new Int32Array(most)
    this.link = new Int32Array(most)
    this.ip = sumsOf(ip)
    this.transport = sumsOf(transport)
    this.outer = sumsOf(outer)
    this.hasChecksums = [ip, transport, outer, echoSequence, entropyPort].some((place) => place !== null)
    this.none = fields.length === 0 && !this.hasChecksums
  }

  /** The fields, and where they stand. */
  get ofRecipe(): readonly RecipeField[] {
    const { digits, steps, seeds } = this
    return this.plan.fields.map((field, i) => ({
      ...field,
      digit: digits[i],
      step: steps[i],
      seed: seeds[i],
    }))
  }

  /** Of the `count` packets in `batch`, made of the templates `chosen`, the first being packet `number` of the run. */
  write(batch: Int32Array, chosen: Uint8Array, count: number, number: number): void {
    const { fields, order } = this.plan
    if (order === 'turn' && !this.hasChecksums) {
      for (let field = 0; field < fields.length; field++) this.goOnAlone(field, batch, count)
      return
    }
    this.addresses.fill(0, 0, count)
    this.ports.fill(0, 0, count)
    this.link.fill(0, 0, count)
    if (order === 'product') this.carries.fill(0, 0, count)
    for (let field = 0; field < fields.length; field++) {
      if (order === 'random') this.draw(field, batch, count, number)
      else this.goOn(field, batch, count, order === 'product')
    }
    if (this.hasChecksums) this.complete(batch, chosen, count, number)
  }

  /** As goOn(), for what nothing else depends on, such as flows of plain UDP. */
  private goOnAlone(field: number, batch: Int32Array, count: number): void {
    const { memory, digits, steps } = this
    const { offset, bytes, first, count: values } = this.plan.fields[field]
    const { u8 } = memory
    const step = steps[field]
    let digit = digits[field]
    for (let i = 0; i < count; i++) {
      const value = (first + digit) | 0
      let at = (memory.dataOffset(batch[i]) + offset) | 0
      if (bytes === 4) {
        write16(u8, at, value >>> 16)
        at = (at + 2) | 0
      }
      write16(u8, at, value)
      digit = (digit + step) | 0
      if (digit >= values) digit = (digit - values) | 0
    }
    digits[field] = digit
  }

  private goOn(field: number, batch: Int32Array, count: number, carrying: boolean): void {
    const { memory, digits, steps, carries } = this
    const { offset, bytes, first, count: values } = this.plan.fields[field]
    const { u8 } = memory
    const sums = this.sumsFor(field)
    const step = steps[field]
    let digit = digits[field]
    for (let i = 0; i < count; i++) {
      const value = (first + digit) | 0
      const at = (memory.dataOffset(batch[i]) + offset) | 0
      if (bytes === 2) write16(u8, at, value)
      else write32(u8, at, value)
      sums[i] += (value >>> 16) + (value & 0xffff)
      digit += step + carries[i]
      const around = digit >= values
      if (around) digit -= values
      if (carrying) carries[i] = around ? 1 : 0
    }
    digits[field] = digit
  }

  private draw(field: number, batch: Int32Array, count: number, number: number): void {
    const { memory, step } = this
    const { offset, bytes, first, count: values } = this.plan.fields[field]
    const { u8 } = memory
    const sums = this.sumsFor(field)
    const seed = this.seeds[field]
    const scale = values / 2 ** 32
    for (let i = 0; i < count; i++) {
      const random = mix((number + Math.imul(i, step)) ^ seed) >>> 0
      const value = (first + ((random * scale) | 0)) | 0
      const at = (memory.dataOffset(batch[i]) + offset) | 0
      if (bytes === 2) write16(u8, at, value)
      else write32(u8, at, value)
      sums[i] += (value >>> 16) + (value & 0xffff)
    }
  }

  private sumsFor(field: number): Int32Array {
    const { reach } = this.plan.fields[field]
    return reach === 'addresses' ? this.addresses : reach === 'transport' ? this.ports : this.link
  }

  /** Writes what depends on the fields and the number. */
  private complete(batch: Int32Array, chosen: Uint8Array, count: number, number: number): void {
    const { memory, sizes, step, addresses, ports, link, ip, transport, outer, plan } = this
    const { u8 } = memory
    const ipAt = plan.ip?.offset ?? NOWHERE
    const transportAt = plan.transport?.offset ?? NOWHERE
    const isUdp = plan.transport?.isUdp ?? false
    const overAddresses = plan.transport?.overAddresses ?? false
    const echoAt = plan.echoSequence ?? NOWHERE
    const entropyAt = plan.entropyPort ?? NOWHERE
    const outerAt = plan.outer?.offset ?? NOWHERE
    for (let i = 0; i < count; i++) {
      const at = memory.dataOffset(batch[i])
      const template = chosen[i]
      const current = (number + Math.imul(i, step)) | 0
      let words = ports[i] + sequenceWords(current, sizes[template])
      if (echoAt !== NOWHERE) {
        write16(u8, at + echoAt, current)
        words += current & 0xffff
      }
      let inner = 0
      if (ipAt !== NOWHERE) {
        const checksum = finishSum(ip[template] + addresses[i])
        write16(u8, at + ipAt, checksum)
        inner = checksum
      }
      if (transportAt !== NOWHERE) {
        let checksum = finishSum(transport[template] + words + (overAddresses ? addresses[i] : 0))
        if (isUdp && checksum === 0) checksum = 0xffff
        write16(u8, at + transportAt, checksum)
        inner += checksum
      }
      if (entropyAt !== NOWHERE) {
        const port = FIRST_ENTROPY_PORT | (Math.imul(addresses[i] + ports[i], GOLDEN) >>> ENTROPY_SHIFT)
        write16(u8, at + entropyAt, port)
        words += port
      }
      if (outerAt !== NOWHERE) {
        const checksum = finishSum(outer[template] + words + addresses[i] + link[i] + inner)
        write16(u8, at + outerAt, checksum === 0 ? 0xffff : checksum)
      }
    }
  }
}

function sumsOf(checksum: PacketChecksum | null): Int32Array {
  return Int32Array.from(checksum?.sums ?? [])
}

/** Where the fields stand at step `step`, or how far they go on in so many steps. */
function digitsOf({ fields, order }: FramePlan, step: number): Int32Array {
  let rest = step
  return Int32Array.from(fields, ({ count }) => {
    const digit = rest % count
    if (order === 'product') rest = Math.floor(rest / count)
    return digit
  })
}

/** The sequence number as it counts in a checksum: the two halves, little-endian, and across words in a frame of odd size. */
function sequenceWords(number: number, size: number): number {
  const sum = (number & 0xffff) + (number >>> 16)
  // Turning all words round turns their sum round (RFC 1071 §2 B).
  return (size & 1) === 1 ? sum : ((sum & 0xff) << 8) + (sum >>> 8)
}

/** A number that looks random, 32 bits, another one for each (the end of MurmurHash3). */
function mix(number: number): number {
  let bits = number ^ (number >>> 16)
  bits = Math.imul(bits, 0x85ebca6b | 0)
  bits ^= bits >>> 13
  bits = Math.imul(bits, 0xc2b2ae35 | 0)
  return bits ^ (bits >>> 16)
}
