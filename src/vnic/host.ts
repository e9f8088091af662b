/**
 * The virtual NICs of one process: makes them with their wires, listens, runs them, and tells how they are doing.
 * `ixy-ts vnic` has one or two; the child process of a command has one per `virtual:<wire>` device.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../captures/messages.ts'
import { REG } from '../driver/ixgbe/registers.ts'
import { maxMapCount } from '../linux/limits.ts'
import { monotonicOffset } from '../linux/monotonic.ts'
import type { Tap } from '../linux/tap.ts'
import { formatMac } from '../packet/mac.ts'
import { takeAllSteps } from '../undo.ts'
import type { NicReport, NicSpec } from './child-protocol.ts'
import { runLoop } from './poll-loop.ts'
import { macOfName } from './mac.ts'
import { type CardTotals, totalsOf } from './model/totals.ts'
import { VirtualNic } from './nic.ts'
import { MAX_MAPPINGS } from './vfio-user/server.ts'
import { cable } from './wires/cable.ts'
import { Ledger } from './wires/ledger.ts'
import type { FileWork } from './wires/kind.ts'
import { parseWires } from './wires/parse.ts'
import type { Wire } from './wires/wire.ts'

export const LINK_MBIT = 10_000
/** What every NIC here is. */
export const MODEL = '82599ES 10GbE SFP+ (virtual)'

/** Milliseconds between two looks at whether anything moves. */
const LOOK_EVERY = 20
/** Milliseconds without any movement after which nothing more is expected to come. */
const QUIET = 200
/** The same when every generated frame is accounted for: only duplicates can still be under way. */
const QUIET_WHEN_COMPLETE = 40
/** Longest wait for that, milliseconds: between two loops a frame goes round for ever, and a stop is a stop. */
const QUIESCE_DEADLINE = 800
/** The same while captures are being written. */
const WRITE_DEADLINE = 30_000

export interface HostOptions {
  /** Stop listening once a client has come: the socket is nobody else's. */
  readonly oneClient: boolean
  /** One for each NIC, six bytes; else they follow from names and places, the same every time. */
  readonly macs?: readonly Uint8Array[]
  /** Called when a client has connected or gone. */
  readonly onClient?: (nic: NicSpec, connected: boolean) => void
  /** Called with why a client was refused something that it can't do without, and what to do. */
  readonly onRefusal?: (nic: NicSpec, reason: string) => void
  /** Take memory that its owner can take away under this process, too (vfio-user/memory-trust.ts). */
  readonly allowUnsealed?: boolean
  /** See ModelOptions. Default: yes. */
  readonly inspect?: boolean
  /** How wires get their TAPs. Default: openTap. */
  readonly openTap?: (name: string) => Tap
  /** Told what is noteworthy about captures. */
  readonly log: Log
  /** The process whose descriptors `/dev/fd/<n>` means; by default this one. */
  readonly owner?: number
}

export class NicHost {
  readonly specs: readonly NicSpec[]
  private readonly nics: VirtualNic[] = []
  private readonly macs: readonly Uint8Array[]
  private readonly ledger = new Ledger()
  private readonly work: FileWork[] = []
  private readonly stopLoop = new AbortController()
  private moved = 0
  private quietSince = performance.now()

  /**
   * Makes the NICs; `specs` name their wires, or are two NICs with a cable between them. Nothing stays behind when that
   * fails. Throws IXY_ERR_USAGE, IXY_ERR_FILE, and what a TAP or a socket throws.
   */
  constructor(specs: readonly NicSpec[], cabled: boolean, options: HostOptions) {
    this.specs = specs
    this.macs = options.macs ?? specs.map(({ name }, i) => macOfName(`${name} ${i}`))
    try {
      const { ledger, work } = this
      const context = { ...options, ledger, work, linkMbit: LINK_MBIT }
      const ends = cabled ? cable([specs[0].name, specs[1].name]) : null
      specs.forEach((spec, i) => {
        const wire = ends?.[i] ?? parseWires(spec.wire, context)
        this.nics.push(this.make(spec, this.macs[i], wire, options))
      })
      specs.forEach(({ socket }, i) => this.nics[i].listen(socket))
    } catch (error) {
      this.close()
      throw error
    }
  }

  private make(spec: NicSpec, mac: Uint8Array, wire: Wire, options: HostOptions): VirtualNic {
    const { oneClient, onClient, onRefusal, allowUnsealed, inspect } = options
    try {
      const nic: VirtualNic = new VirtualNic({
        name: spec.name,
        mac,
        wire,
        strict: true,
        onClient: (connected) => {
          if (oneClient && connected) nic.stopListening()
          onClient?.(spec, connected)
        },
        onRefusal: (reason) => onRefusal?.(spec, reason),
        maxMappings: mappingsPerNic(this.specs.length),
        ...(allowUnsealed === undefined ? {} : { allowUnsealed }),
        ...(inspect === undefined ? {} : { inspect }),
      })
      return nic
    } catch (error) {
      wire.close()
      throw error
    }
  }

  /** Resolves when every wire can start: captures have been opened and looked into. Throws IXY_ERR_FILE. */
  async ready(): Promise<void> {
    await Promise.all(this.work.map((one) => one.ready?.()))
  }

  /** Resolves when captures hold all that the NICs have sent. Throws IXY_ERR_OUTPUT if one takes too long. */
  async flush(): Promise<void> {
    await Promise.all(this.work.map((one) => one.flush?.()))
  }

  /** Runs the NICs until stop(). Rejects with whatever a wire throws: a TAP was deleted, a disk is full. `orders`: see runLoop(). */
  run(orders?: number): Promise<void> {
    return runLoop(this.nics, this.stopLoop.signal, orders)
  }

  stop(): void {
    this.stopLoop.abort()
  }

  /** `52:54:00:00:00:01` */
  mac(index: number): string {
    return formatMac(this.macs[index])
  }

  /** Complete once close() has been called. */
  totals(index: number): CardTotals {
    return totalsOf(this.nics[index].device)
  }

  reports(): NicReport[] {
    const settled = this.settled()
    const offset = monotonicOffset()
    return this.nics.map((nic, index) => ({
      finite: nic.wire.finite,
      ended: nic.wire.ended(),
      settled,
      moved: spanOf(nic.device.moved, offset),
      buffered: nic.device.receive.buffered,
      card: this.totals(index),
      account: nic.wire.account(),
      wires: nic.wires(),
      breaches: nic.breaches(),
    }))
  }

  /** The part of the reports that is worth to be told unasked, as text; costs no system call. */
  state(): string {
    const settled = this.settled()
    return this.nics.map(({ wire }) => `${wire.ended()} ${settled}`).join()
  }

  /**
   * Stops the wires, and resolves once what they have sent has come out again or nothing moves any more; at the latest
   * after QUIESCE_DEADLINE, or WRITE_DEADLINE where captures are being written: they may hold up the senders.
   */
  async quiesce(): Promise<void> {
    for (const nic of this.nics) nic.wire.stop()
    const begin = performance.now()
    this.quietSince = begin
    const deadline = (): number => begin + (this.writing() ? WRITE_DEADLINE : QUIESCE_DEADLINE)
    while (!this.settled() && performance.now() < deadline()) await sleep(LOOK_EVERY)
  }

  /** To be asked again and again: it compares with what it saw the last time. */
  settled(): boolean {
    const now = performance.now()
    const moved = this.movements()
    if (moved !== this.moved || this.writing()) this.quietSince = now
    this.moved = moved
    return now - this.quietSince >= (this.ledger.outstanding() === 0 ? QUIET_WHEN_COMPLETE : QUIET)
  }

  private writing(): boolean {
    return this.work.some((one) => one.busy === true)
  }

  /** A number that changes with every frame. */
  private movements(): number {
    let moved = 0
    for (const { device } of this.nics) {
      moved += device.statistics.total(REG.TPR) + device.statistics.total(REG.TXDGPC)
    }
    return moved
  }

  /** Closes connections, sockets, files and TAPs. Throws IXY_ERR_OUTPUT if a capture can't be completed. Idempotent. */
  close(): void {
    this.stop()
    takeAllSteps(this.nics.map((nic) => () => nic.close()))
  }
}

function spanOf([first, last]: Float64Array, offset: number): NicReport['moved'] {
  return first === 0 ? null : { first: first + offset, last: last + offset }
}

/** Mappings of this process that are not for clients: Node.js fails when it gets no more. */
const OWN_MAPPINGS = 16384

/** A client's mapping divides what is around it: two of the process's, of which Linux allows 65,530 by default. */
function mappingsPerNic(nics: number): number {
  return Math.min(MAX_MAPPINGS, Math.floor((maxMapCount() - OWN_MAPPINGS) / 2 / nics))
}
