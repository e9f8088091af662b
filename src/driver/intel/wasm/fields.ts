/**
 * AssemblyScript, compiled to WebAssembly: the fields of packets that are made (generate.ts), and the checksums over them, as
 * src/apps/pktgen/packet-fields.ts has them.
 */
import { ENTROPY_SHIFT, FIRST_ENTROPY_PORT, GOLDEN } from '../../../packet/entropy'
import { TX_PAYLEN_SHIFT } from '../descriptors'
import { ORDER_PRODUCT, ORDER_RANDOM } from '../wasm-recipe'
import { COMMAND } from './tx-ring'
import { bufferShift, buffersAt, HEADROOM, ofPacket } from './buffers'

/** Bytes at the end of each packet that are its number. */
const NUMBER_BYTES = 4

/** A field that differs from packet to packet. */
@unmanaged
export class Field {
  offset: usize
  bytes: i32
  first: u32
  count: u32
  /** How far behind its first value it is, and how far it goes on from one packet to the next. */
  digit: u32
  step: u32
  seed: u32
  /** A word for each packet of a chunk, to which the value's words are added. */
  sums: usize

  @inline
  get at(): usize {
    return buffersAt + HEADROOM + this.offset
  }

  /** It goes on with every packet, and nothing else depends on it. */
  goOn(slot: usize, count: i32): void {
    const at = this.at
    const shift = bufferShift
    const first = this.first
    const values = this.count
    const step = this.step
    const wide = this.bytes === 4
    let digit = this.digit
    for (; count > 0; count--, slot += 2) {
      const place = ofPacket(at, shift, load<u16>(slot))
      write(wide, place, first + digit)
      digit += step
      if (digit >= values) digit -= values
    }
    this.digit = digit
  }

  /** The same, summed up. `carries`: a word for each packet, 1 where the field before has come around; 0: there is none. */
  goOnSummed(slot: usize, count: i32, carries: usize): void {
    const at = this.at
    const shift = bufferShift
    const first = this.first
    const values = this.count
    const step = this.step
    const wide = this.bytes === 4
    let digit = this.digit
    let sums = this.sums
    for (; count > 0; count--, slot += 2, sums += 4) {
      const value = first + digit
      write(wide, ofPacket(at, shift, load<u16>(slot)), value)
      store<u32>(sums, load<u32>(sums) + (value >>> 16) + (value & 0xffff))
      digit += step
      if (carries !== 0) digit += load<u32>(carries)
      const around = digit >= values
      if (around) digit -= values
      if (carries !== 0) {
        store<u32>(carries, around ? 1 : 0)
        carries += 4
      }
    }
    this.digit = digit
  }

  /** It is drawn anew for each packet, the first being `number`. */
  draw(slot: usize, count: i32, number: u32, step: u32): void {
    const at = this.at
    const shift = bufferShift
    const first = this.first
    const seed = this.seed
    const scale = <f64>this.count / 4294967296.0
    const wide = this.bytes === 4
    let sums = this.sums
    for (; count > 0; count--, slot += 2, sums += 4, number += step) {
      const value = first + <u32>(<f64>mix(number ^ seed) * scale)
      write(wide, ofPacket(at, shift, load<u16>(slot)), value)
      store<u32>(sums, load<u32>(sums) + (value >>> 16) + (value & 0xffff))
    }
  }
}

/** What depends on fields and numbers. Places are from a packet's first byte on, -1 where there is no such thing. */
@unmanaged
export class Checksums {
  order: i32
  /** By packet of a chunk, sums of the words written: what reaches the checksum of IP, of the transport header, none of both. */
  addresses: usize
  ports: usize
  link: usize
  /** By packet of a chunk: see Field.goOnSummed(), and the template that it is made of. */
  carries: usize
  chosen: usize
  ip: i32
  transport: i32
  isUdp: i32
  overAddresses: i32
  echoSequence: i32
  entropyPort: i32
  outer: i32

  /** Writes the fields of `count` packets, and completes them. */
  write(fields: usize, fieldCount: i32, slot: usize, count: i32, number: u32, step: u32): void {
    const bytes = (<usize>count) << 2
    memory.fill(this.addresses, 0, bytes)
    memory.fill(this.ports, 0, bytes)
    memory.fill(this.link, 0, bytes)
    if (this.order === ORDER_PRODUCT) memory.fill(this.carries, 0, bytes)
    for (; fieldCount > 0; fieldCount--, fields += offsetof<Field>()) {
      const field = changetype<Field>(fields)
      if (this.order === ORDER_RANDOM) field.draw(slot, count, number, step)
      else field.goOnSummed(slot, count, this.order === ORDER_PRODUCT ? this.carries : 0)
    }
    this.complete(slot, bytes, number, step)
  }

  /** The packets whose ids are at `slot`, of which there are `bytes` bytes of sums. */
  private complete(slot: usize, bytes: usize, number: u32, step: u32): void {
    const data = buffersAt + HEADROOM
    const shift = bufferShift
    const addressesAt = this.addresses
    const portsAt = this.ports
    const linkAt = this.link
    const chosen = this.chosen
    const ipAt = this.ip
    const transportAt = this.transport
    const isUdp = this.isUdp !== 0
    const overAddresses = this.overAddresses !== 0
    const echoAt = this.echoSequence
    const entropyAt = this.entropyPort
    const outerAt = this.outer
    for (let at: usize = 0; at < bytes; at += 4, slot += 2, number += step) {
      const packet = ofPacket(data, shift, load<u16>(slot))
      const template = changetype<Template>(<usize>load<u32>(chosen + at))
      const addresses = load<u32>(addressesAt + at)
      const ports = load<u32>(portsAt + at)
      let words = ports + sequenceWords(number, template.length)
      if (echoAt >= 0) {
        write16(packet + echoAt, number)
        words += number & 0xffff
      }
      let inner: u32 = 0
      if (ipAt >= 0) {
        inner = finishSum(template.ip + addresses)
        write16(packet + ipAt, inner)
      }
      if (transportAt >= 0) {
        let checksum = finishSum(template.transport + words + (overAddresses ? addresses : 0))
        if (isUdp && checksum === 0) checksum = 0xffff
        write16(packet + transportAt, checksum)
        inner += checksum
      }
      if (entropyAt >= 0) {
        const port: u32 = FIRST_ENTROPY_PORT | (((addresses + ports) * <u32>GOLDEN) >>> ENTROPY_SHIFT)
        write16(packet + entropyAt, port)
        words += port
      }
      if (outerAt >= 0) {
        const checksum = finishSum(template.outer + words + addresses + load<u32>(linkAt + at) + inner)
        write16(packet + outerAt, checksum === 0 ? 0xffff : checksum)
      }
    }
  }
}

/** What is copied, and what its checksums begin with. */
@unmanaged
export class Template {
  bytes: usize
  length: u32
  ip: u32
  transport: u32
  outer: u32

  /** In a descriptor. */
  @inline
  get command(): u64 {
    const length: u64 = this.length
    return COMMAND | length | (length << (32 + TX_PAYLEN_SHIFT))
  }

  /** Where the number of packet 0 is, but for the stagger. */
  @inline
  get numberAt(): usize {
    return buffersAt + HEADROOM + this.length - NUMBER_BYTES
  }
}

/** Four bytes, or two. */
function write(wide: bool, at: usize, value: u32): void {
  if (wide) store<u32>(at, bswap<u32>(value))
  else write16(at, value)
}

function write16(at: usize, value: u32): void {
  store<u16>(at, bswap<u16>(<u16>value))
}

function finishSum(sum: u32): u32 {
  const once = (sum & 0xffff) + (sum >>> 16)
  return ~(once + (once >>> 16)) & 0xffff
}

/** The sequence number as it counts in a checksum. */
function sequenceWords(number: u32, length: u32): u32 {
  const sum = (number & 0xffff) + (number >>> 16)
  return (length & 1) === 1 ? sum : ((sum & 0xff) << 8) + (sum >>> 8)
}

function mix(number: u32): u32 {
  let bits = number ^ (number >>> 16)
  bits *= 0x85ebca6b
  bits ^= bits >>> 13
  bits *= 0xc2b2ae35
  return bits ^ (bits >>> 16)
}
