/** The way to a TAP interface of Linux: file descriptors, one per queue. There is nothing of PCI at it. */
import { IxyError } from '../errors.ts'
import { type TapQueues, openTapQueues } from '../linux/tap.ts'
import { POLLERR, POLLOUT, PollSet } from '../linux/poll.ts'
import { ByWidth } from './by-width.ts'
import type { ConfigSpace, Doorbell, RegisterWindow, Transport } from './transport.ts'

class NoConfig extends ByWidth implements ConfigSpace {
  private readonly refuse: () => never

  constructor(refuse: () => never) {
    super()
    this.refuse = refuse
  }

  protected read(): number {
    return this.refuse()
  }

  protected write(): void {
    this.refuse()
  }
}

export class TapTransport implements Transport {
  readonly access = 'tap'
  readonly needsPhysicalAddresses = false
  readonly numaNode = -1
  readonly name: string
  readonly interface: string
  readonly config: ConfigSpace = new NoConfig(() => this.refuse())
  private queues: TapQueues | null = null
  private state: PollSet | null = null

  constructor(name: string, device: string) {
    this.interface = name
    this.name = device
  }

  /**
   * Plugs into the interface, with `count` queues. Throws as openTapQueues does. Closed with the transport. Apart from the
   * constructor, as who asks for it knows how many it needs.
   */
  plugIn(count: number): TapQueues {
    this.queues = openTapQueues(this.interface, count)
    this.state = new PollSet([this.queues.fds[0]], POLLOUT)
    return this.queues
  }

  /** Up, wherever it has been moved: the kernel lets nobody write to one that is down (tun_chr_poll). */
  isUp(): boolean {
    return (this.look() & POLLOUT) !== 0
  }

  assertAlive(): void {
    if ((this.look() & POLLERR) === 0) return
    throw new IxyError(
      'IXY_ERR_DEVICE_GONE',
      `the TAP interface ${this.interface} has been deleted`,
      'start again',
    )
  }

  bar(): RegisterWindow {
    return this.refuse()
  }

  mapDma(): void {
    // The kernel sees all memory of this process.
  }

  doorbell(): Doorbell | null {
    return null
  }

  enableInterrupts(): readonly number[] {
    return this.refuse()
  }

  close(): void {
    this.queues?.close()
    this.queues = null
    this.state = null
  }

  private look(): number {
    if (this.state === null) return 0
    return this.state.wait(0) > 0 ? this.state.events(0) : 0
  }

  private refuse(): never {
    throw new IxyError('IXY_ERR_INTERNAL', `${this.name} is no PCI function`)
  }
}
