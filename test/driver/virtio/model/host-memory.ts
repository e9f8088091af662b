import { viewOf } from '../../../../src/linux/mapping.ts'
import type { DmaSegment } from '../../../../src/memory/arena.ts'
import type { Breaches } from './breaches.ts'

const NOTHING = new DataView(new ArrayBuffer(65_536))

/** What the host has shared with the device, by the addresses that the device knows. */
export class HostMemory {
  private readonly segments: { iova: number; bytes: number; memory: ArrayBuffer }[] = []
  private readonly breaches: Breaches

  constructor(breaches: Breaches) {
    this.breaches = breaches
  }

  map({ iova, bytes, address }: DmaSegment): void {
    this.segments.push({ iova, bytes, memory: viewOf(address, bytes) })
  }

  /** `what` is said of an address that isn't shared. */
  at(iova: number, bytes: number, what: string): DataView {
    const segment = this.segments.find((one) => iova >= one.iova && iova + bytes <= one.iova + one.bytes)
    this.breaches.check(segment !== undefined, `${what} lies outside of the shared memory`)
    return segment === undefined ? NOTHING : new DataView(segment.memory, iova - segment.iova, bytes)
  }
}
