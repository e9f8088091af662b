/**
 * The memory of BAR0. It is this process's own, but for the pages that a client may write to by itself: those are a file
 * of which each client gets a new one. What a client has mapped is dead for it once it has gone.
 */
import { close, createSealedMemfd, pwrite } from '../linux/file.ts'
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, mmap, munmap, viewOf } from '../linux/mapping.ts'
import { DeviceEnd, HANDOVER_BYTES } from '../linux/handover.ts'
import { HANDOVER_OFFSET, Region } from '../pci/vfio-user/protocol.ts'
import { BAR0_BYTES } from './model/registers.ts'
import type { Doorbells } from './vfio-user/served-device.ts'

/** The pages with RDT 0–63 and TDT 0–63, and the one for taking turns. */
const AREAS = [
  { offset: 0x1000, size: 0x1000 },
  { offset: 0x6000, size: 0x1000 },
  { offset: HANDOVER_OFFSET, size: HANDOVER_BYTES },
]

export class RegisterMemory implements Doorbells {
  readonly region = Region.BAR0
  readonly areas = AREAS
  /** All of BAR0; stays where it is until close(). */
  readonly buffer: ArrayBuffer
  readonly handover: DeviceEnd
  private readonly address: bigint
  private fd = -1

  /** Throws LinuxError. */
  constructor() {
    this.address = mmap(BAR0_BYTES)
    this.buffer = viewOf(this.address, BAR0_BYTES)
    this.handover = new DeviceEnd(this.buffer, this.address, HANDOVER_OFFSET)
  }

  share(): number {
    if (this.fd !== -1) return this.fd
    const fd = createSealedMemfd('ixy-vnic-doorbells', BAR0_BYTES)
    try {
      for (const { offset, size } of AREAS) {
        pwrite(fd, new Uint8Array(this.buffer, offset, size), offset)
        mmap(size, { address: this.address + BigInt(offset), fd, offset, flags: MAP_SHARED | MAP_FIXED })
      }
    } catch (error) {
      close(fd)
      throw error
    }
    return (this.fd = fd)
  }

  /** The pages are this process's own again, with what they hold now. Without effect if they are. */
  unshare(): void {
    if (this.fd === -1) return
    for (const { offset, size } of AREAS) {
      const contents = new Uint8Array(this.buffer, offset, size).slice()
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
      mmap(size, { address: this.address + BigInt(offset), flags })
      new Uint8Array(this.buffer, offset, size).set(contents)
    }
    this.handover.clear()
    close(this.fd)
    this.fd = -1
  }

  /** The buffer must not be touched any more. */
  close(): void {
    if (this.fd !== -1) close(this.fd)
    munmap(this.address, BAR0_BYTES)
  }
}
