import { isErrno } from '../../linux/libc.ts'
import type { InterfaceDrops } from '../../linux/interfaces.ts'
import { Ring, type RingPlace, createRing } from '../../linux/io-uring.ts'
import { viewOf } from '../../linux/mapping.ts'
import type { TapQueues } from '../../linux/tap.ts'
import { tapDrops } from '../../linux/tap-drops.ts'
import { IxyError } from '../../errors.ts'
import type { DmaArena } from '../../memory/arena.ts'
import { formatMac } from '../../packet/mac.ts'
import { TapTransport } from '../../pci/tap.ts'
import type { Transport } from '../../pci/transport.ts'
import { Undo } from '../../undo.ts'
import type { Device, DeviceStatistics, LinkState } from '../device.ts'
import type { DeviceOptions } from '../driver.ts'
import * as COUNTER from './counters.ts'
import { READ } from './frame-io.ts'
import { WRITES, queueBytes } from './layout.ts'
import type { TapQueueSpec } from './queue-spec.ts'

/** What virtio_net_hdr can ask of the kernel. Cutting is ours in both directions: what is large is put together again by join.ts. */
const OFFLOADS = { receive: true, checksum: true, ipChecksum: false, segment: false, vlan: false }

/** A TAP interface of Linux as a device: what the kernel sends on it is received, what is sent the kernel receives. */
export class TapDevice implements Device {
  readonly name: string
  readonly model: string
  readonly mac: string
  readonly queues: readonly TapQueueSpec[]
  private readonly transport: TapTransport
  private readonly tap: TapQueues
  private readonly counters: readonly Float64Array[]
  private readonly undo = new Undo()
  private readonly warn: (message: string) => void
  private told = false
  private carrier = true
  /** What the kernel had dropped when packets were let in, and when last asked; null where that can't be seen. */
  private before: InterfaceDrops | null = null
  private drops: InterfaceDrops | null = null

  /** Throws as openTapQueues does. The device owns the transport from now on. */
  constructor(transport: Transport, arena: DmaArena, options: DeviceOptions) {
    if (!(transport instanceof TapTransport))
      throw new IxyError('IXY_ERR_INTERNAL', `${transport.name} is no TAP interface`)
    this.transport = transport
    this.name = transport.name
    this.model = options.model.model
    this.warn = options.warn
    this.tap = transport.plugIn(options.queues)
    this.mac = formatMac(ourEnd(this.tap.mac))
    try {
      const joins = this.tap.leaveWork()
      this.queues = this.tap.fds.map((fd) => ({
        driver: 'tap',
        fd,
        ring: this.makeRing(fd),
        memory: arena.takeForProcess(queueBytes()),
        entries: options.ringSize,
        interrupt: options.interrupts ? fd : null,
        interruptStays: true,
        offloads: OFFLOADS,
        joins,
      }))
    } catch (error) {
      this.undo.runQuietly()
      throw error
    }
    this.counters = this.queues.map(({ memory }) => new Float64Array(viewOf(memory, COUNTER.COUNTERS * 8)))
  }

  start(): void {
    this.look()
    this.before = this.drops
    for (const counters of this.counters) counters[COUNTER.RECEIVING] = 1
  }

  /** Nobody knows how fast it is. */
  link(): LinkState {
    return { up: this.transport.isUp(), mbit: 0 }
  }

  follow(isUp: boolean): void {
    if (isUp === this.carrier) return
    this.carrier = isUp
    this.tap.setCarrier(isUp)
  }

  /**
   * `kernel_dropped`: what the kernel had for us and dropped, as the interface's queue was full. `tx_refused`: what it didn't
   * take, as the interface was down.
   */
  statistics(): DeviceStatistics {
    const sum = (...places: readonly number[]): number =>
      this.counters.reduce((all, of) => places.reduce((total, place) => total + of[place], all), 0)
    const { RX_PACKETS, RX_BYTES, FRAGMENTS, BAD_LENGTH, RX_UNTAKEN, TX_REFUSED } = COUNTER
    this.look()
    const { before, drops } = this
    return {
      rxPackets: sum(RX_PACKETS, FRAGMENTS, BAD_LENGTH, RX_UNTAKEN),
      rxBytes: sum(RX_BYTES, COUNTER.RX_DROPPED_BYTES, COUNTER.RX_UNTAKEN_BYTES),
      txPackets: sum(COUNTER.TX_DONE_PACKETS),
      txBytes: sum(COUNTER.TX_DONE_BYTES),
      dropped: {
        ...(before === null || drops === null ? {} : { kernel_dropped: drops.sent - before.sent }),
        tx_refused: sum(TX_REFUSED),
      },
      stuck: [],
    }
  }

  assertAlive(): void {
    this.transport.assertAlive()
  }

  /** What has been read by then can still be taken out. */
  stopReceiving(): void {
    for (const counters of this.counters) counters[COUNTER.RECEIVING] = 0
  }

  stopSending(): void {
    // A packet is sent when transmit() returns.
  }

  close(): void {
    this.undo.runQuietly()
    this.transport.close()
  }

  /** null where there is no io_uring that can be used. */
  private makeRing(fd: number): RingPlace | null {
    try {
      const { place, close } = createRing(WRITES)
      this.undo.push(close)
      if (neverWaits(place, fd)) return place
      this.tellSlow('this kernel’s TAPs can wait for io_uring only')
    } catch (error) {
      if (!isErrno(error, 'EPERM', 'EACCES', 'ENOSYS', 'ENOMEM', 'EINVAL')) throw error
      this.tellSlow('io_uring is not allowed here (sysctl kernel.io_uring_disabled, seccomp)')
    }
    return null
  }

  private tellSlow(why: string): void {
    if (!this.told) this.warn(`a system call for each frame, as ${why}`)
    this.told = true
  }

  /** The counters go with the interface: those seen last stay. */
  private look(): void {
    const drops = tapDrops(this.queues[0].fd)
    if (drops !== 'gone') this.drops = drops
  }
}

/** Reads of nothing, which take no frame, have to be possible without waiting: since Linux 5.11. */
function neverWaits(place: RingPlace, fd: number): boolean {
  const result = Int32Array.of(-1)
  new Ring(place).run(READ, fd, { low: 0, high: 0 }, Uint16Array.of(0), Uint16Array.of(0), 1, result)
  return result[0] === 0
}

/**
 * The interface's address is the kernel's end of the cable. Ours is another one, which stays the same for as long as the
 * interface's does: locally administered, and not the one that bridges and guests derive theirs from.
 */
function ourEnd(mac: Uint8Array): Uint8Array {
  const ours = mac.slice()
  ours[0] = ((mac[0] ^ 0x40) & 0xfe) | 0x02
  return ours
}
