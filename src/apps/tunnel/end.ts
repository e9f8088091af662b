/** This end of the tunnel, in one worker: what the loops of app.ts work with, and all that is not done for every packet. */
import type { TxBatch } from '../../driver/tx-batch.ts'
import type { WorkerContext } from '../../engine/app.ts'
import { wordsOver } from '../../packet/checksum.ts'
import { EthernetFrame, MIN_FRAME_BYTES } from '../../packet/ethernet.ts'
import { MAC_BYTES } from '../../packet/mac.ts'
import type { Control } from './control.ts'
import { Ipv4Control } from './control-ipv4.ts'
import { Ipv6Control } from './control-ipv6.ts'
import { type Enter, makeEnter } from './enter.ts'
import { Fate } from './fates.ts'
import { Headers } from './headers.ts'
import { InnerHost } from './inner-host.ts'
import type { TunnelJob } from './job.ts'
import { type Leave, makeLeave } from './leave.ts'
import { makePlainPath, type PlainPath } from './plain.ts'
import { Pretence, writeHeader } from './pretence.ts'
import { Underlay } from './underlay.ts'
import { Waiting } from './waiting.ts'

export class TunnelEnd {
  readonly enter: Enter
  readonly leave: Leave
  /** What it takes needs neither of the two. */
  readonly plain: PlainPath
  private readonly context: WorkerContext
  private readonly job: TunnelJob
  private readonly toOuter: TxBatch
  private readonly headers: Headers
  private readonly underlay: Underlay
  /** MAC addresses of the hosts at the inner side, by networks: everybody, until they are known. */
  private readonly hosts: Uint8Array
  private readonly outerHost: Control
  private readonly innerHost: InnerHost
  private readonly waiting = new Waiting()
  private readonly one: Int32Array
  private readonly frame = new EthernetFrame()
  private pretence: Pretence | null = null
  private seen = -1

  constructor(context: WorkerContext, job: TunnelJob, toOuter: TxBatch, toInner: TxBatch) {
    const { memory, pools, rehearsal } = context
    this.context = context
    this.job = job
    this.toOuter = toOuter
    const { hops, networks, mtu } = job
    this.underlay = new Underlay(job.underlay, hops.length, networks.length, mtu)
    this.headers = new Headers(job, this.underlay)
    this.hosts = new Uint8Array(networks.length * MAC_BYTES).fill(0xff)
    const words = wordsOver(memory.u8)
    this.enter = makeEnter(memory, words, this.headers, job)
    this.leave = makeLeave(memory, words, job, this.hosts)
    this.plain = makePlainPath(memory, job, this.headers)
    this.one = memory.batch(1)
    const compose = this.compose.bind(this)
    const common = { memory, job, underlay: this.underlay }
    const outerOptions = { ...common, compose, send: (id: number) => toOuter.add(id) }
    this.outerHost = job.local.length === 4 ? new Ipv4Control(outerOptions) : new Ipv6Control(outerOptions)
    this.innerHost = new InnerHost({ ...common, send: (id) => toInner.add(id) })
    if (!rehearsal) return
    this.pretence = new Pretence(memory, pools[0], job, this.enter)
    this.headers.ready.fill(1)
    this.plain.change(this.headers, this.hosts)
  }

  /** The rehearsal is over. */
  begin(): void {
    this.pretence = null
    this.waiting.reset()
    this.seen = -1
  }

  /** In a rehearsal, packets that have come in are made such as go through the tunnel. */
  pretendOuter(batch: Int32Array, count: number): void {
    if (this.pretence !== null) this.pretence.dress(batch, count, this.pretence.outer)
  }

  pretendInner(batch: Int32Array, count: number): void {
    if (this.pretence !== null) this.pretence.dress(batch, count, this.pretence.inner)
  }

  /** The next hop of `network` is known. */
  isReady(network: number): boolean {
    return this.headers.ready[network] !== 0
  }

  /** Once per step: takes over what any worker has learned. */
  catchUp(): void {
    const { version } = this.underlay
    if (version !== this.seen && this.pretence === null) this.takeOver(version)
  }

  /** A method of its own: what closures keep is allocated on entry. */
  private takeOver(version: number): void {
    this.seen = version
    const { headers, underlay, hosts, job, waiting, context } = this
    headers.refresh()
    job.networks.forEach((_, i) => underlay.copyMac(underlay.hostOf(i), hosts, i * MAC_BYTES))
    this.plain.change(headers, hosts)
    waiting.release(headers.ready, (id, network) => {
      const { memory, counters } = context
      this.frame.wrapPacket(memory, id)
      this.frame.setDestination(headers.u8, network * headers.stride)
      counters[Fate.encapsulated]++
      this.toOuter.add(id)
    })
  }

  /** Has packet `id`, which leave() said to be CONTROL, handled as one for this end, and returns its fate. */
  control(id: number): number {
    return this.outerHost.handle(id)
  }

  /** Packet `id` of the outer side has this fate: it is freed, unless it is the answer to itself. */
  keep(id: number, fate: number): void {
    this.context.counters[fate]++
    if (fate !== Fate.outer_answered) this.free(id)
  }

  /** Packet `id` of the inner side doesn't go into the tunnel. */
  refuse(id: number, fate: number): void {
    const { counters } = this.context
    if (fate === Fate.too_big) {
      counters[fate]++
      if (this.innerHost.tellTooBig(id)) counters[Fate.told_too_big]++
      else this.free(id)
      return
    }
    const last = fate === Fate.inner_ignored ? this.answer(id) : fate
    counters[last]++
    if (last !== Fate.inner_answered) this.free(id)
  }

  /**
   * fou: answers questions for MAC addresses before a filter sees them, as they are for this end. Moves all other packets to the
   * front of `batch`, and returns how many.
   */
  answerAll(batch: Int32Array, count: number): number {
    if (this.job.encapsulation !== 'fou') return count
    let others = 0
    for (let i = 0; i < count; i++) {
      if (this.innerHost.answer(batch[i]) !== Fate.inner_answered) batch[others++] = batch[i]
    }
    this.context.counters[Fate.inner_answered] += count - others
    return others
  }

  /** Packet `id` is ready but for the MAC address of its next hop. */
  wait(id: number, network: number): void {
    const { underlay, waiting } = this
    if (!waiting.add(id, network, underlay.tick)) return this.giveUp(id)
    const { hop } = this.job.networks[network]
    if (underlay.wants(hop)) this.ask(hop)
  }

  /** To be called once a second. */
  everySecond(): void {
    const { underlay, waiting, innerHost, context } = this
    if (this.pretence !== null) return
    innerHost.everySecond()
    if (context.worker === 0) underlay.everySecond((hop) => this.ask(hop))
    waiting.expire(underlay.tick, (id) => this.giveUp(id))
  }

  /** The run is about to end: gives up what waits, and lets nothing wait any more. */
  close(): void {
    this.waiting.close((id) => this.giveUp(id))
  }

  private answer(id: number): number {
    return this.job.encapsulation === 'fou' ? this.innerHost.answer(id) : Fate.inner_ignored
  }

  private ask(hop: number): void {
    this.outerHost.ask(hop)
  }

  private giveUp(id: number): void {
    this.context.counters[Fate.unresolved]++
    this.free(id)
  }

  private free(id: number): void {
    this.one[0] = id
    this.context.memory.free(this.one, 0, 1)
  }

  /** See ControlOptions. Whatever is composed is a request. */
  private compose(length: number, type: number, destination: Uint8Array): number {
    const { job, one, frame } = this
    const { memory, pools, counters } = this.context
    if (memory.allocate(pools[0], one, 1) === 0) return -1
    const [id] = one
    const start = memory.dataOffset(id)
    memory.size[id] = Math.max(length, MIN_FRAME_BYTES)
    memory.u8.fill(0, start, start + memory.size[id])
    frame.wrapPacket(memory, id)
    writeHeader(frame, job.mac, destination, job.vlan, type)
    counters[Fate.asked]++
    return id
  }
}
