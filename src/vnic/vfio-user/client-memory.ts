/** The client's memory, mapped into this process as it shares it: DMA_MAP and DMA_UNMAP. */
import { fstatSync } from 'node:fs'
import { isErrno } from '../../linux/libc.ts'
import { mmap, munmap, PROT_READ, PROT_WRITE, viewOf } from '../../linux/mapping.ts'
import { DMA_UNMAP_ALL, DmaFlag, type DmaMap, type DmaUnmap } from '../../pci/vfio-user/protocol.ts'
import type { Device } from '../model/device.ts'
import { Errno, Refusal } from './refusal.ts'

const PAGE = 4096
/** Addresses beyond are no whole numbers for JavaScript any more, and no device's bus is that wide. */
const MAX_ADDRESS = 2 ** 52
/** Mappings at a time; a client with more gets an error. */
export const MAX_MAPPINGS = 4096

interface Mapping {
  readonly iova: number
  readonly size: number
  /** 0n: the client has memory here that it doesn't share; it is only remembered. */
  readonly address: bigint
}

export class ClientMemory {
  private readonly device: Device
  private mappings: Mapping[] = []

  constructor(device: Device) {
    this.device = device
  }

  /** Maps what the client offers. `fd` -1: ROM or unshared memory, allowed as long as the device is not sent there. */
  map(request: DmaMap, fd: number): void {
    const { address: iova, size, offset, flags } = request
    if (
      iova % PAGE !== 0 ||
      size % PAGE !== 0 ||
      offset % PAGE !== 0 ||
      size === 0 ||
      iova + size > MAX_ADDRESS
    )
      throw new Refusal(Errno.EINVAL, `DMA_MAP of ${size} bytes at 0x${iova.toString(16)}`)
    if (this.mappings.length >= MAX_MAPPINGS) throw new Refusal(Errno.ENOSPC, 'too many DMA mappings')
    if (this.mappings.some((other) => other.iova < iova + size && iova < other.iova + other.size))
      throw new Refusal(Errno.EEXIST, `DMA_MAP over existing memory at 0x${iova.toString(16)}`)
    const address = fd === -1 ? 0n : this.share(request, fd, (flags & DmaFlag.WRITE) !== 0)
    if (fd === -1) this.device.dma.addUnshared(iova, size)
    this.mappings.push({ iova, size, address })
  }

  private share({ address: iova, size, offset }: DmaMap, fd: number, writable: boolean): bigint {
    // Beyond the end of the file a mapping exists, but touching it would end this process.
    if (fstatSync(fd).size < offset + size)
      throw new Refusal(Errno.EINVAL, 'DMA_MAP beyond the end of the file')
    let address: bigint
    try {
      address = mmap(size, { fd, offset, protection: writable ? PROT_READ | PROT_WRITE : PROT_READ })
    } catch (error) {
      if (isErrno(error, 'EACCES', 'EPERM'))
        throw new Refusal(Errno.EACCES, 'DMA_MAP of a file without permission')
      if (isErrno(error, 'ENOMEM')) throw new Refusal(Errno.ENOMEM, `no room to map ${size} bytes`)
      throw new Refusal(Errno.EINVAL, `DMA_MAP: ${String(error)}`)
    }
    try {
      this.device.dma.add(iova, size, writable, (start, bytes) => viewOf(address + BigInt(start), bytes))
    } catch (error) {
      this.device.dma.remove(iova, size)
      munmap(address, size)
      throw error
    }
    return address
  }

  /** Takes back every mapping that lies within the range; part of one can't be. */
  unmap({ address: iova, size, flags }: DmaUnmap): void {
    if ((flags & DMA_UNMAP_ALL) !== 0) return this.clear()
    const end = iova + size
    const inside = this.mappings.filter((one) => one.iova >= iova && one.iova + one.size <= end)
    const touched = this.mappings.filter((one) => one.iova < end && iova < one.iova + one.size)
    if (inside.length === 0 || touched.length !== inside.length)
      throw new Refusal(Errno.ENOENT, `DMA_UNMAP of what isn't mapped at 0x${iova.toString(16)}`)
    this.drop(inside)
  }

  /** Gives everything back. */
  clear(): void {
    this.drop(this.mappings)
  }

  /** The device must have let go of its views before the memory goes. */
  private drop(gone: readonly Mapping[]): void {
    for (const { iova, size } of gone) this.device.dma.remove(iova, size)
    this.device.invalidate()
    for (const { address, size } of gone) if (address !== 0n) munmap(address, size)
    this.mappings = this.mappings.filter((one) => !gone.includes(one))
  }
}
