/** The client's memory, mapped into this process as it shares it: DMA_MAP and DMA_UNMAP. */
import { fstatSync } from 'node:fs'
import { close } from '../../linux/file.ts'
import { pageBytesOf } from '../../linux/hugepages.ts'
import { isErrno, LinuxError } from '../../linux/libc.ts'
import { mmap, munmap, PAGE_BYTES, PROT_READ, PROT_WRITE, viewOf } from '../../linux/mapping.ts'
import { DMA_UNMAP_ALL, DmaFlag, type DmaMap, type DmaUnmap } from '../../pci/vfio-user/protocol.ts'
import { MemoryWindow, WINDOW_BYTES } from './memory-window.ts'
import { objectionTo } from './memory-trust.ts'
import { SharedFiles } from './shared-files.ts'
import { sharedSpace, type Space, UNMAP_BYTES } from '../space.ts'
import { Errno, Refusal } from './refusal.ts'
import type { ServedDevice } from './served-device.ts'

const PAGE = 4096
/** The largest page of an IOMMU that goes into a window. Larger mappings stand alone. */
const LARGE_PAGE = 2 ** 21
/** Addresses beyond are no whole numbers for JavaScript any more, and no device's bus is that wide. */
const MAX_ADDRESS = 2 ** 52
/** Bytes a client may have mapped: address space ends at 128 TiB, and the process needs some of it to live. */
const MAX_BYTES = 2 ** 40

/** What a client may ask for. */
export interface MemoryLimits {
  /** Mappings at a time. */
  readonly mappings: number
  /** Memory that can be taken away under this process is taken all the same (memory-trust.ts). */
  readonly allowUnsealed: boolean
  /** The client's user. */
  readonly uid: number
}

/** Takes a mapping out of this process. */
type Release = () => Generator<void, void>

interface Mapping {
  readonly iova: number
  readonly size: number
  readonly release: Release
}

/** What takes long is a generator: it does one step after the other, and others may have their turns in between. */
export class ClientMemory {
  private readonly device: ServedDevice
  private readonly limits: MemoryLimits
  /** Sorted by iova, never overlapping. */
  private readonly mappings: Mapping[] = []
  private readonly windows = new Map<number, MemoryWindow>()
  private readonly files = new SharedFiles()
  private bytes = 0

  constructor(device: ServedDevice, limits: MemoryLimits) {
    this.device = device
    this.limits = limits
  }

  /**
   * Maps what the client offers. Without a descriptor it is ROM or unshared memory, allowed as long as the device is not sent
   * there. Takes the descriptor out of `fds` and closes it if all goes well.
   */
  *map(request: DmaMap, fds: number[]): Generator<void, void> {
    const { address: iova, size, offset } = request
    if (
      iova % PAGE !== 0 ||
      size % PAGE !== 0 ||
      offset % PAGE !== 0 ||
      size === 0 ||
      iova + size > MAX_ADDRESS
    )
      throw new Refusal(Errno.EINVAL, `DMA_MAP of ${size} bytes at 0x${iova.toString(16)}`)
    const { limits } = this
    if (this.mappings.length >= limits.mappings)
      throw new Refusal(
        Errno.ENOSPC,
        `more than ${limits.mappings} DMA mappings; share larger pieces, or raise vm.max_map_count`,
      )
    const index = this.firstEndingAbove(iova)
    const next = this.mappings.at(index)
    if (next !== undefined && next.iova < iova + size)
      throw new Refusal(Errno.EEXIST, `DMA_MAP over existing memory at 0x${iova.toString(16)}`)
    const [fd] = fds
    const release = fd === undefined ? this.remember(iova, size) : yield* this.share(request, fd)
    this.mappings.splice(index, 0, { iova, size, release })
    // There is another one of the same file: it takes no time.
    fds.splice(0).forEach(close)
  }

  /** The client has memory here that it doesn't share. */
  private remember(iova: number, size: number): Release {
    this.device.memory.addUnshared(iova, size)
    return function* () {
      // There is nothing here.
    }
  }

  private *share(request: DmaMap, fd: number): Generator<void, Release> {
    const { size, offset } = request
    try {
      const objection = this.limits.allowUnsealed ? '' : objectionTo(fd, this.limits.uid)
      if (objection !== '') throw new Refusal(Errno.EPERM, objection)
      if (this.bytes + size > MAX_BYTES)
        throw new Refusal(Errno.ENOMEM, `more than ${MAX_BYTES / 2 ** 40} TiB of memory shared with one NIC`)
      // Beyond the end of the file a mapping exists, but touching it would end this process.
      const { size: fileBytes, dev, ino } = fstatSync(fd)
      if (fileBytes < offset + size) throw new Refusal(Errno.EINVAL, 'DMA_MAP beyond the end of the file')
      return yield* this.shareFile(request, fd, this.files.keep(`${dev} ${ino}`, fd))
    } catch (error) {
      if (error instanceof Refusal) throw error
      if (isErrno(error, 'EACCES', 'EPERM'))
        throw new Refusal(Errno.EACCES, 'DMA_MAP of a file without permission')
      if (isErrno(error, 'ENOMEM')) throw new Refusal(Errno.ENOMEM, `no room to map ${size} bytes`)
      throw new Refusal(Errno.EINVAL, `DMA_MAP: ${String(error)}`)
    }
  }

  /** `drop` is called once the mapping has gone, or doesn't come about. */
  private *shareFile(request: DmaMap, fd: number, drop: () => void): Generator<void, Release> {
    const { address: iova, size, flags } = request
    const protection = (flags & DmaFlag.WRITE) !== 0 ? PROT_READ | PROT_WRITE : PROT_READ
    const base = iova - (iova % WINDOW_BYTES)
    let release: Release | null = null
    try {
      const page = pageBytesOf(fd)
      // A huge page would cover the places of its neighbours in the window.
      release =
        size <= LARGE_PAGE && iova + size <= base + WINDOW_BYTES && page === PAGE_BYTES
          ? this.shareInWindow(base, request, fd, protection)
          : yield* this.shareAlone(request, fd, protection, page)
    } finally {
      if (release === null) drop()
    }
    const inner = release
    const give = (): void => {
      this.bytes -= size
      drop()
    }
    this.bytes += size
    return function* () {
      try {
        yield* inner()
      } finally {
        give()
      }
    }
  }

  private shareInWindow(base: number, request: DmaMap, fd: number, protection: number): Release {
    const { address: iova, size, offset } = request
    const window = this.windows.get(base) ?? new MemoryWindow(base)
    this.windows.set(base, window)
    const release = (): void => {
      if (window.users > 0) return
      this.windows.delete(base)
      window.close()
    }
    try {
      window.map(iova, size, fd, offset, protection)
    } catch (error) {
      release()
      throw error
    }
    this.device.memory.addPart(iova, size, (protection & PROT_WRITE) !== 0, window.bytes, iova - base)
    return function* () {
      window.unmap(iova, size)
      yield
      release()
    }
  }

  /**
   * QEMU shares pieces of its memory that begin and end anywhere in a huge page. Whole pages are mapped around them, as
   * part of one can't be mapped, nor taken back; the device reaches the piece only.
   */
  private *shareAlone(
    request: DmaMap,
    fd: number,
    protection: number,
    page: number,
  ): Generator<void, Release> {
    const { address: iova, size, offset } = request
    const { memory } = this.device
    const writable = (protection & PROT_WRITE) !== 0
    const space = sharedSpace()
    const before = offset % page
    const bytes = Math.ceil((before + size) / page) * page
    const file = { fd, offset: offset - before, protection }
    const at = inSpace(bytes, file)
    if (at !== null) {
      memory.addPart(iova, size, writable, space.bytes, at + before)
      return () => space.unmap(at)
    }
    const address = mmap(bytes, file)
    let complete = false
    try {
      yield* memory.add(iova, size, writable, (start, length) =>
        viewOf(address + BigInt(before + start), length),
      )
      complete = true
    } finally {
      if (!complete) {
        memory.remove(iova, size)
        this.device.invalidate()
        munmap(address, bytes)
      }
    }
    return function* () {
      const step = Math.max(UNMAP_BYTES, page)
      for (let done = 0; done < bytes; done += step) {
        munmap(address + BigInt(done), Math.min(step, bytes - done))
        yield
      }
    }
  }

  /**
   * Takes back every mapping that lies within the range; part of one can't be. As with the kernel's VFIO, a range in
   * which nothing is mapped is no error: with an IOMMU, QEMU begins by clearing all addresses there are. The device
   * reaches none of it any more before the first step.
   */
  *unmap({ address: iova, size, flags }: DmaUnmap): Generator<void, void> {
    if ((flags & DMA_UNMAP_ALL) !== 0) return yield* this.clear()
    const end = iova + size
    const first = this.firstEndingAbove(iova)
    let last = first
    while (last < this.mappings.length && this.mappings[last].iova < end) last++
    if (first === last) return
    const [left, right] = [this.mappings[first], this.mappings[last - 1]]
    if (left.iova < iova || right.iova + right.size > end)
      throw new Refusal(Errno.EINVAL, `DMA_UNMAP of a part of what is mapped at 0x${iova.toString(16)}`)
    yield* this.drop(first, last)
  }

  /** Gives everything back. */
  *clear(): Generator<void, void> {
    yield* this.drop(0, this.mappings.length)
  }

  /** The device lets go of its views before the memory goes. What can't be given back keeps nothing else from it. */
  private *drop(first: number, last: number): Generator<void, void> {
    const gone = this.mappings.splice(first, last - first)
    if (gone.length === 0) return
    const { iova } = gone[0]
    const { iova: start, size } = gone[gone.length - 1]
    this.device.memory.remove(iova, start + size - iova)
    this.device.invalidate()
    const failures: unknown[] = []
    for (const { release } of gone) {
      try {
        yield* release()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  /** Index of the first mapping that ends above `iova`. */
  private firstEndingAbove(iova: number): number {
    let low = 0
    let high = this.mappings.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const { iova: start, size } = this.mappings[middle]
      if (start + size <= iova) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Where the memory of all NICs shows the file; null if it has no room for it, or none that suits its pages. */
function inSpace(bytes: number, file: Parameters<Space['map']>[1]): number | null {
  try {
    return sharedSpace().map(bytes, file)
  } catch (error) {
    if (error instanceof LinuxError) return null
    throw error
  }
}
