/**
 * The way to a virtio network card without registers: its back end in another process works on the queues in our memory, and all
 * else is said by message. To the rest of the program it is a virtio card with its PCI ids and nothing more.
 */
import { IxyError } from '../../errors.ts'
import { close, createEventFd } from '../../linux/file.ts'
import type { DmaSegment } from '../../memory/arena.ts'
import { Undo } from '../../undo.ts'
import { ByWidth } from '../by-width.ts'
import type { ConfigSpace, Doorbell, RegisterWindow, Transport } from '../transport.ts'
import { VhostBackend } from './backend.ts'
import { MAX_REGIONS, encodeMemTable } from './protocol.ts'

/** Vendor and device id of a virtio 1 network card, and its class (PCI 3.0 §6.2.1): all that is there. */
const IDS: Readonly<Record<number, number>> = { 0: 0x1af4, 2: 0x1041, 10: 0x0200 }

class IdsOnly extends ByWidth implements ConfigSpace {
  protected read(offset: number): number {
    return IDS[offset] ?? 0
  }

  protected write(): void {
    // Nothing there to be changed.
  }
}

export class VhostUserTransport implements Transport {
  readonly access = 'vhost-user'
  readonly needsPhysicalAddresses = false
  readonly numaNode = -1
  readonly name: string
  readonly config: ConfigSpace = new IdsOnly()
  readonly backend: VhostBackend
  private readonly undo = new Undo()
  private readonly segments: DmaSegment[] = []
  private interrupts: readonly number[] = []

  /** Throws IXY_ERR_DEVICE_NOT_FOUND if no back end listens at `socket`, IXY_ERR_PROTOCOL, IXY_ERR_DEVICE_GONE. */
  constructor(socket: string, name: string, deadline?: number) {
    this.name = name
    this.backend = new VhostBackend(socket, name, deadline)
    this.undo.push(() => this.backend.close())
  }

  bar(): RegisterWindow {
    throw new IxyError(
      'IXY_ERR_DEVICE_UNSUPPORTED',
      `${this.name} has no registers: its queues are all there is of it`,
      'see docs/virtio.md',
    )
  }

  mapDma(segment: DmaSegment): void {
    this.segments.push(segment)
    if (this.segments.length > MAX_REGIONS)
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `${this.name} takes memory in ${MAX_REGIONS} pieces, and a device beside it needs it in more`,
        'use it beside devices that go through an IOMMU, vfio-user or virtual devices',
      )
  }

  /** Tells the back end of the memory. Before it hears of a queue. */
  shareMemory(): void {
    const regions = this.segments.map(({ iova, bytes, fdOffset }) => ({
      guestAddress: iova,
      bytes,
      userAddress: iova,
      fileOffset: fdOffset,
    }))
    this.backend.tell(
      'SET_MEM_TABLE',
      encodeMemTable(regions),
      this.segments.map(({ fd }) => fd),
    )
  }

  doorbell(): Doorbell | null {
    return null
  }

  enableInterrupts(count: number): readonly number[] {
    this.interrupts = Array.from({ length: count }, () => this.createEventFd())
    return this.interrupts
  }

  /** The eventfd of vector `vector`, null if there is none. */
  interrupt(vector: number): number | null {
    return this.interrupts[vector] ?? null
  }

  /** Closed with the transport. */
  createEventFd(): number {
    const fd = createEventFd()
    this.undo.push(() => close(fd))
    return fd
  }

  assertAlive(): void {
    this.backend.assertAlive()
  }

  close(): void {
    this.undo.runQuietly()
  }
}
