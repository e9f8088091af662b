/**
 * Flow Director (82599 §7.1.2.7): thousands of filters for flows, in memory taken from the packet buffer.
 *
 * A perfect filter matches if all fields that aren't masked are equal, a signature filter if both hashes are. The bucket
 * of a filter is the one that software says; the card looks into the one that it computes.
 */
import { type Field as RegisterField, get, put, type Register } from '../../driver/intel/register.ts'
import { REG } from '../../driver/ixgbe/registers.ts'
import { FlowHash } from './flow-hash.ts'
import { FlowKey } from './flow-key.ts'
import { Field, FIELDS, FlowTable, NONE } from './flow-table.ts'
import type { PacketInfo } from './packet-info.ts'
import { NO_QUEUE } from './queue-filters.ts'
import type { CardRegisters } from './registers.ts'
import type { Strict } from './strict.ts'

const FDIRCTRL = REG.FDIRCTRL.fields
const FDIRCMD = REG.FDIRCMD.fields
const FDIRHASH = REG.FDIRHASH.fields

/** FDIRCMD.CMD. */
const Command = { ADD: 1, REMOVE: 2, QUERY: 3 } as const

/** Of a filter's command word, a bit that FDIRCMD doesn't use: the list was longer than FDIRCTRL.MAX_LENGTH when it was added. */
const LENGTH_ERROR = 1 << 31
/** What an update changes. */
const ACTION = FDIRCMD.DROP.mask | FDIRCMD.INT.mask | FDIRCMD.QUEUE_EN.mask | FDIRCMD.RX_QUEUE.mask

/** Status and errors in word 2 of the write-back descriptor (82599 §7.1.6.2): FLM and FDIRErr. */
const MATCH = 1 << 2
const ERROR_LENGTH = 1 << 20
const ERROR_DROP = 1 << 21
const ERROR_COLLISION = 1 << 22

/** FDIRHASH has 15 bits of either. */
const HASH_BITS = 0x7fff
/** A reported signature has this bit set. */
const SIGNATURE = 0x8000
/** Buckets with FDIRCTRL.PBALLOC 1; with each more, twice as many (82599 §8.2.3.21.1). */
const SMALLEST = { perfect: 2048, signature: 8192 } as const
/** The packet buffer's memory, and what PBALLOC 1 takes of it. */
const PACKET_BUFFER_BYTES = 512 * 1024
const SMALLEST_BYTES = 64 * 1024
const THRESHOLD_UNIT = 16

export class FlowDirector {
  /** PBALLOC is not 0: IP packets are compared and counted. */
  enabled = false
  /** Of the packet given to match() last: its queue, or NO_QUEUE; status and errors; whether `report` is to be reported. */
  queue = NO_QUEUE
  status = 0
  reported = false
  /** Hash and, of the filter, signature or index. */
  report = 0

  private readonly registers: CardRegisters
  private readonly strict: Strict
  private readonly onChange: () => void
  private readonly onFull: () => void
  private readonly key = new FlowKey()
  private readonly hash = new FlowHash()
  private readonly table = new FlowTable()
  private readonly wanted = new Int32Array(FIELDS)
  private perfect = false
  private allocated = 0
  private cleared = false
  private dropQueue = 0
  private maxLength = 0
  private reportMatches = false
  private reportAll = false
  /** Packets that missed and that matched, not yet read. */
  private readonly counts = new Float64Array(2)
  private matched = 0

  /** `onChange` is called when it was switched on or off; `onFull` when few filters are left. */
  constructor(registers: CardRegisters, strict: Strict, onChange: () => void, onFull: () => void) {
    this.registers = registers
    this.strict = strict
    this.onChange = onChange
    this.onFull = onFull
    registers.onWrite(REG.FDIRCTRL, (value) => this.control(value))
    registers.onWrite(REG.FDIRCMD, (value) => this.command(value))
    const { FDIRM, FDIRTCPM, FDIRUDPM, FDIRSIP4M, FDIRDIP4M, FDIRIP6M, FDIRHKEY, FDIRSKEY } = REG
    for (const register of [FDIRM, FDIRTCPM, FDIRUDPM, FDIRSIP4M, FDIRDIP4M, FDIRIP6M, FDIRHKEY, FDIRSKEY])
      registers.onWrite(register, (value) => {
        registers.set(register, value)
        if (this.enabled) this.update()
      })
    for (const [index, register] of [REG.FDIRMISS, REG.FDIRMATCH].entries())
      registers.onRead(register, () => {
        const value = Math.min(this.counts[index], 0xffffffff)
        this.counts[index] = 0
        return value
      })
  }

  reset(): void {
    this.enabled = false
    this.allocated = 0
    this.cleared = false
    this.counts.fill(0)
    this.onChange()
  }

  private update(): void {
    const { registers } = this
    this.key.update(registers)
    this.hash.use(registers.get(REG.FDIRHKEY), registers.get(REG.FDIRSKEY))
  }

  private control(value: number): void {
    const { registers, strict } = this
    const allocated = get(FDIRCTRL.PBALLOC, value)
    const perfect = (value & FDIRCTRL.PERFECT_MATCH.mask) !== 0
    if (allocated !== 0) this.checkBeforeStart(allocated)
    const same = allocated === this.allocated && perfect === this.perfect
    if (allocated !== 0 && this.allocated !== 0 && !this.cleared)
      strict.report('8.2.3.21.1', 'FDIRCTRL written again without FDIRCMD.CLEARHT before')
    registers.set(
      REG.FDIRCTRL,
      allocated === 0 ? value & ~FDIRCTRL.INIT_DONE.mask : value | FDIRCTRL.INIT_DONE.mask,
    )
    this.dropQueue = get(FDIRCTRL.DROP_QUEUE, value)
    this.maxLength = get(FDIRCTRL.MAX_LENGTH, value)
    this.reportAll = (value & FDIRCTRL.REPORT_STATUS_ALWAYS.mask) !== 0
    this.reportMatches = this.reportAll || (value & FDIRCTRL.REPORT_STATUS.mask) !== 0
    this.allocated = allocated
    this.perfect = perfect
    this.enabled = allocated !== 0
    if (allocated !== 0 && (!same || this.cleared)) {
      this.table.clear((perfect ? SMALLEST.perfect : SMALLEST.signature) << (allocated - 1), perfect)
      registers.set(REG.FDIRFREE, this.table.free)
    }
    this.cleared = false
    if (this.enabled) this.update()
    this.onChange()
  }

  private checkBeforeStart(allocated: number): void {
    const { registers, strict } = this
    if (this.allocated === 0 && registers.test(REG.RXCTRL, REG.RXCTRL.fields.RXEN.mask))
      strict.report('8.2.3.21.1', 'FDIRCTRL.PBALLOC set while RXCTRL.RXEN is set')
    let bytes = SMALLEST_BYTES << (allocated - 1)
    for (let i = 0; i < REG.RXPBSIZE.count; i++) bytes += registers.get(REG.RXPBSIZE, i)
    if (bytes > PACKET_BUFFER_BYTES)
      strict.report('8.2.3.21.1', 'FDIRCTRL.PBALLOC takes memory that RXPBSIZE gives to packets')
  }

  private command(value: number): void {
    const { registers, table } = this
    const command = get(FDIRCMD.CMD, value)
    registers.set(REG.FDIRCMD, value & ~(FDIRCMD.CMD.mask | FDIRCMD.FILTER_VALID.mask))
    if ((value & FDIRCMD.CLEARHT.mask) !== 0) this.cleared = true
    if (command === 0) return
    if (!this.enabled)
      return this.strict.report('7.1.2.7', 'Flow Director command while FDIRCTRL.PBALLOC is 0')
    const fdirhash = registers.get(REG.FDIRHASH)
    const bucket = fdirhash & table.mask
    const id = get(FDIRHASH.SIGNATURE_OR_INDEX, fdirhash)
    if (command === Command.ADD) this.add(bucket, id, value)
    else if (command === Command.REMOVE) this.remove(bucket, id)
    else this.query(bucket, id)
    const valid = table.lengths[bucket] > 0 ? FDIRHASH.BUCKET_VALID.mask : 0
    registers.change(REG.FDIRHASH, valid, FDIRHASH.BUCKET_VALID.mask)
  }

  private add(bucket: number, id: number, command: number): void {
    const { registers, table, wanted } = this
    if (this.perfect) this.describe(bucket, command)
    const existing = this.perfect ? table.byFields(bucket, wanted) : table.byId(bucket, id)
    if (existing !== NONE) return this.change(existing, id, command)
    const filter =
      this.perfect && (command & FDIRCMD.IPV6DMATCH.mask) !== 0 ? NONE : table.add(bucket, id, wanted)
    if (filter === NONE) return this.count(REG.FDIRFSTAT, REG.FDIRFSTAT.fields.FADD)
    const length = table.lengths[bucket]
    table.commands[filter] =
      (command & ~FDIRCMD.COLLISION.mask) | (length > this.maxLength ? LENGTH_ERROR : 0)
    this.count(REG.FDIRUSTAT, REG.FDIRUSTAT.fields.ADD)
    this.showFree()
    const { MAXLEN, MAXHASH } = REG.FDIRLEN.fields
    if (length > get(MAXLEN, registers.get(REG.FDIRLEN)))
      registers.set(REG.FDIRLEN, put(MAXLEN, length) | put(MAXHASH, bucket))
    if (table.free < get(FDIRCTRL.FULL_THRESH, registers.get(REG.FDIRCTRL)) * THRESHOLD_UNIT) this.onFull()
  }

  /** The fields of a perfect filter into `wanted`. */
  private describe(bucket: number, command: number): void {
    const { wanted, key, strict } = this
    const body = key.ofFilter(this.registers, command, wanted)
    if (!strict.enabled) return
    if (!key.canMatch(wanted))
      strict.report('7.1.2.7', 'perfect filter with ones in masked fields, it never matches')
    else if (((this.hash.of(wanted[Field.HEAD], body) ^ bucket) & this.table.mask) !== 0)
      strict.report('7.1.2.7', 'FDIRHASH of a perfect filter is not the hash of its fields, it never matches')
  }

  /** The same filter once more: an update, or a collision, which leaves its action as it is. */
  private change(filter: number, id: number, command: number): void {
    const { commands, ids } = this.table
    if ((command & FDIRCMD.FILTER_UPDATE.mask) !== 0) {
      commands[filter] = (commands[filter] & ~ACTION) | (command & ACTION)
      ids[filter] = id
    } else if (
      ((commands[filter] ^ command) & ACTION) !== 0 &&
      (commands[filter] & FDIRCMD.COLLISION.mask) === 0
    ) {
      commands[filter] |= FDIRCMD.COLLISION.mask
      this.count(REG.FDIRFREE, REG.FDIRFREE.fields.COLL)
    }
  }

  private remove(bucket: number, id: number): void {
    const { table } = this
    const filter = table.byId(bucket, id)
    if (filter === NONE) return this.count(REG.FDIRFSTAT, REG.FDIRFSTAT.fields.FREMOVE)
    const { COLL } = REG.FDIRFREE.fields
    if ((table.commands[filter] & FDIRCMD.COLLISION.mask) !== 0)
      this.registers.set(REG.FDIRFREE, this.registers.get(REG.FDIRFREE) - put(COLL, 1))
    table.remove(bucket, filter)
    this.count(REG.FDIRUSTAT, REG.FDIRUSTAT.fields.REMOVE)
    this.showFree()
  }

  private query(bucket: number, id: number): void {
    const { table } = this
    const filter = table.byId(bucket, id)
    if (filter === NONE) return
    const { CMD, CLEARHT } = FDIRCMD
    const known = table.commands[filter] & ~(CMD.mask | CLEARHT.mask | LENGTH_ERROR)
    this.registers.set(REG.FDIRCMD, known | FDIRCMD.FILTER_VALID.mask)
  }

  private count(register: Register, field: RegisterField): void {
    const { registers } = this
    const value = registers.get(register)
    const count = get(field, value)
    if (count < field.mask >>> field.shift)
      registers.set(register, (value & ~field.mask) | put(field, count + 1))
  }

  private showFree(): void {
    const { FREE } = REG.FDIRFREE.fields
    this.registers.change(REG.FDIRFREE, put(FREE, this.table.free), FREE.mask)
  }

  /** Compares a parsed IP packet. */
  match(u8: Uint8Array, offset: number, length: number, info: PacketInfo): void {
    const { key, table } = this
    key.read(u8, offset, length, info)
    const hash = this.hash.of(key.fields[Field.HEAD], key.body)
    const bucket = hash & table.mask
    const signature = (hash >>> 16) & HASH_BITS
    const filter = this.perfect ? table.byFields(bucket, key.fields) : table.byId(bucket, signature)
    this.queue = NO_QUEUE
    if (filter === NONE) {
      this.matched = 0
      this.status = table.lengths[bucket] > this.maxLength ? ERROR_LENGTH : 0
      this.reported = this.reportAll
      this.report = bucket << 16
      return
    }
    this.matched = 1
    this.reported = this.reportMatches
    this.report = (bucket << 16) | (this.perfect ? table.ids[filter] : signature | SIGNATURE)
    this.act(table.commands[filter])
  }

  private act(command: number): void {
    const drop = (command & FDIRCMD.DROP.mask) !== 0
    const long = (command & LENGTH_ERROR) !== 0
    this.status =
      MATCH |
      (long ? ERROR_LENGTH : 0) |
      (drop ? ERROR_DROP : 0) |
      ((command & FDIRCMD.COLLISION.mask) !== 0 ? ERROR_COLLISION : 0)
    // Perfect filters at the end of a list that is too long leave dropping to the host.
    if (drop && !(long && this.perfect)) this.queue = this.dropQueue
    else if ((command & FDIRCMD.QUEUE_EN.mask) !== 0) this.queue = get(FDIRCMD.RX_QUEUE, command)
  }

  /** The packet given to match() last goes no other way any more: it counts. */
  settle(): void {
    this.counts[this.matched]++
  }
}
