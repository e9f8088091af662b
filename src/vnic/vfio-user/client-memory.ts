/** The client's memory, mapped into this process as it shares it: DMA_MAP and DMA_UNMAP. */
import { fstatSync } from 'node:fs'
import { takeAllSteps } from '../../errors.ts'
import { pageBytesOf } from '../../linux/hugepages.ts'
import { isErrno, LinuxError } from '../../linux/libc.ts'
import { mmap, munmap, PAGE_BYTES, PROT_READ, PROT_WRITE, viewOf } from '../../linux/mapping.ts'
import { DMA_UNMAP_ALL, DmaFlag, type DmaMap, type DmaUnmap } from '../../pci/vfio-user/protocol.ts'
import type { Device } from '../model/device.ts'
import { MemoryWindow, WINDOW_BYTES } from './memory-window.ts'
import { sharedSpace, type Space } from '../space.ts'
import { Errno, Refusal } from './refusal.ts'

const PAGE = 4096
/** The largest page of an IOMMU that goes into a window. Larger mappings stand alone. */
const LARGE_PAGE = 2 ** 21
/** Addresses beyond are no whole numbers for JavaScript any more, and no device's bus is that wide. */
const MAX_ADDRESS = 2 ** 52
/** Mappings at a time; a client with more gets an error. Linux allows a process 65530 (vm.max_map_count). */
export const MAX_MAPPINGS = 24576

interface Mapping {
  readonly iova: number
  readonly size: number
  /** Takes it out of this process. The client has no memory here that it shares: does nothing. */
  readonly release: () => void
}

export class ClientMemory {
  private readonly device: Device
  /** Sorted by iova, never overlapping. */
  private mappings: Mapping[] = []
  private readonly windows = new Map<number, MemoryWindow>()

  constructor(device: Device) {
    this.device = device
  }

  /** Maps what the client offers. `fd` -1: ROM or unshared memory, allowed as long as the device is not sent there. */
  map(request: DmaMap, fd: number): void {
    const { address: iova, size, offset } = request
    if (
      iova % PAGE !== 0 ||
      size % PAGE !== 0 ||
      offset % PAGE !== 0 ||
      size === 0 ||
      iova + size > MAX_ADDRESS
    )
      throw new Refusal(Errno.EINVAL, `DMA_MAP of ${size} bytes at 0x${iova.toString(16)}`)
    if (this.mappings.length >= MAX_MAPPINGS) throw new Refusal(Errno.ENOSPC, 'too many DMA mappings')
    const index = this.firstEndingAbove(iova)
    const next = this.mappings.at(index)
    if (next !== undefined && next.iova < iova + size)
      throw new Refusal(Errno.EEXIST, `DMA_MAP over existing memory at 0x${iova.toString(16)}`)
    const release = fd === -1 ? this.remember(iova, size) : this.share(request, fd)
    this.mappings.splice(index, 0, { iova, size, release })
  }

  /** The client has memory here that it doesn't share. */
  private remember(iova: number, size: number): () => void {
    this.device.dma.addUnshared(iova, size)
    return () => undefined
  }

  private share(request: DmaMap, fd: number): () => void {
    const { address: iova, size, offset, flags } = request
    // Beyond the end of the file a mapping exists, but touching it would end this process.
    if (fstatSync(fd).size < offset + size)
      throw new Refusal(Errno.EINVAL, 'DMA_MAP beyond the end of the file')
    const protection = (flags & DmaFlag.WRITE) !== 0 ? PROT_READ | PROT_WRITE : PROT_READ
    const base = iova - (iova % WINDOW_BYTES)
    try {
      const page = pageBytesOf(fd)
      // A huge page would cover the places of its neighbours in the window.
      return size <= LARGE_PAGE && iova + size <= base + WINDOW_BYTES && page === PAGE_BYTES
        ? this.shareInWindow(base, request, fd, protection)
        : this.shareAlone(request, fd, protection, page)
    } catch (error) {
      if (isErrno(error, 'EACCES', 'EPERM'))
        throw new Refusal(Errno.EACCES, 'DMA_MAP of a file without permission')
      if (isErrno(error, 'ENOMEM')) throw new Refusal(Errno.ENOMEM, `no room to map ${size} bytes`)
      throw new Refusal(Errno.EINVAL, `DMA_MAP: ${String(error)}`)
    }
  }

  private shareInWindow(base: number, request: DmaMap, fd: number, protection: number): () => void {
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
    this.device.dma.addPart(iova, size, (protection & PROT_WRITE) !== 0, window.bytes, iova - base)
    return () => {
      window.unmap(iova, size)
      release()
    }
  }

  /**
   * QEMU shares pieces of its memory that begin and end anywhere in a huge page. Whole pages are mapped around them, as
   * part of one can't be mapped, nor taken back; the device reaches the piece only.
   */
  private shareAlone(request: DmaMap, fd: number, protection: number, page: number): () => void {
    const { address: iova, size, offset } = request
    const { dma } = this.device
    const writable = (protection & PROT_WRITE) !== 0
    const space = sharedSpace()
    const before = offset % page
    const bytes = Math.ceil((before + size) / page) * page
    const file = { fd, offset: offset - before, protection }
    const at = inSpace(bytes, file)
    if (at !== null) {
      dma.addPart(iova, size, writable, space.bytes, at + before)
      return () => space.unmap(at)
    }
    const address = mmap(bytes, file)
    try {
      dma.add(iova, size, writable, (start, length) => viewOf(address + BigInt(before + start), length))
    } catch (error) {
      dma.remove(iova, size)
      munmap(address, bytes)
      throw error
    }
    return () => munmap(address, bytes)
  }

  /**
   * Takes back every mapping that lies within the range; part of one can't be. As with the kernel's VFIO, a range in
   * which nothing is mapped is no error: with an IOMMU, QEMU begins by clearing all addresses there are.
   */
  unmap({ address: iova, size, flags }: DmaUnmap): void {
    if ((flags & DMA_UNMAP_ALL) !== 0) return this.clear()
    const end = iova + size
    const first = this.firstEndingAbove(iova)
    let last = first
    while (last < this.mappings.length && this.mappings[last].iova < end) last++
    const touched = this.mappings.slice(first, last)
    if (touched.some((one) => one.iova < iova || one.iova + one.size > end))
      throw new Refusal(Errno.EINVAL, `DMA_UNMAP of a part of what is mapped at 0x${iova.toString(16)}`)
    if (touched.length > 0) this.drop(first, touched)
  }

  /** Gives everything back. */
  clear(): void {
    this.drop(0, [...this.mappings])
  }

  /** The device must have let go of its views before the memory goes. */
  private drop(first: number, gone: readonly Mapping[]): void {
    for (const { iova, size } of gone) this.device.dma.remove(iova, size)
    this.device.invalidate()
    this.mappings.splice(first, gone.length)
    takeAllSteps(gone.map(({ release }) => release))
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
