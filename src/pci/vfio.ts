/**
 * The way to a card through VFIO: the IOMMU lets it reach what is mapped for it and nothing else, so an ordinary user
 * who owns the group may do this (Documentation/driver-api/vfio.rst of Linux).
 */
import { IxyError } from '../errors.ts'
import { close, createEventFd } from '../linux/file.ts'
import { mmap } from '../linux/mapping.ts'
import type { DmaSegment } from '../memory/arena.ts'
import { type Bar, Bars, MappablePages, MappedBar, PAGE, enableSpace, fileBar } from './bars.ts'
import { bindToVfio } from './binding.ts'
import { FileConfigSpace, requireAnswer, setBusMaster } from './config-space.ts'
import { type PciFunction, readFunction, requireUnused } from './function.ts'
import { lockDevice } from './lock.ts'
import type { PciOptions } from './sysfs.ts'
import type { Doorbell, RegisterWindow, Transport } from './transport.ts'
import { Undo } from '../undo.ts'
import { requireIommu, requireVfioPci } from './vfio-checks.ts'
import { type GroupHold, holdGroup } from './vfio-container.ts'
import { countVectors, getDevice, getRegion, resetDevice, setVectors } from './vfio-ioctl.ts'

const CONFIG = 7

/**
 * Opens the function through its IOMMU group, binding it to vfio-pci for the time if it isn't (root only), and resets
 * it. close() puts everything back; so does a failure half way. Throws IXY_ERR_DEVICE_NOT_FOUND, _UNSUPPORTED,
 * _IN_USE, IXY_ERR_NO_VFIO, IXY_ERR_PERMISSION.
 */
export function openVfio(address: string, options: PciOptions): Transport {
  const { known, force, sysfsRoot } = options
  const fn = readFunction(address, sysfsRoot)
  known.requireSupported(address, fn, force)
  requireIommu(fn)
  const undo = new Undo()
  try {
    const lock = lockDevice(address, options.lockDirectory)
    let quiet = fn.driver !== null
    undo.push(() => (quiet ? lock.release() : lock.putBack()))
    if (fn.driver !== 'vfio-pci') {
      requireUnused(fn, force, options)
      requireVfioPci(sysfsRoot)
    }
    undo.push(bindToVfio(fn, lock, sysfsRoot))
    const group = holdGroup(fn, options.vfioDirectory)
    undo.push(() => group.release())
    const device = getDevice(group.fd, address)
    undo.push(() => close(device))
    resetDevice(device)
    quiet = true
    const config = new FileConfigSpace(device, getRegion(device, CONFIG).offset)
    const name = options.name ?? address
    const bars = new Bars(name, (index) => openBar(device, config, index))
    undo.push(() => bars.close())
    undo.push(() => setBusMaster(config, false))
    setBusMaster(config, true)
    return new VfioTransport({ name, fn, device, group, config, bars, undo })
  } catch (error) {
    undo.runQuietly()
    throw error
  }
}

/** What VFIO lets be mapped is mapped; the rest is read and written. */
function openBar(device: number, config: FileConfigSpace, index: number): Bar | null {
  const { bytes, offset, mappable } = getRegion(device, index)
  if (bytes === 0) return null
  const space = enableSpace(config, index)
  if (mappable === 'all') return new MappedBar(mmap(bytes, { fd: device, offset }), bytes)
  const pages = new MappablePages(mappable, (page) => mmap(PAGE, { fd: device, offset: offset + page }))
  return fileBar(device, offset, bytes, space, pages)
}

interface Parts {
  readonly name: string
  readonly fn: PciFunction
  readonly device: number
  readonly group: GroupHold
  readonly config: FileConfigSpace
  readonly bars: Bars
  readonly undo: Undo
}

class VfioTransport implements Transport {
  readonly access = 'vfio'
  readonly needsPhysicalAddresses = false
  readonly name: string
  readonly numaNode: number
  readonly config: FileConfigSpace
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.name = parts.name
    this.numaNode = parts.fn.numaNode
    this.config = parts.config
    this.parts = parts
  }

  mapDma(segment: DmaSegment): void {
    this.parts.group.map(segment)
  }

  bar(index: number): RegisterWindow {
    return this.parts.bars.at(index)
  }

  doorbell(bar: number, offset: number): Doorbell | null {
    return this.parts.bars.at(bar).doorbell(offset)
  }

  enableInterrupts(count: number): readonly number[] {
    const { device, undo } = this.parts
    const vectors = countVectors(device)
    if (vectors < count)
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `${this.name} has ${vectors} MSI-X vectors, ${count} are needed`,
        'use fewer queues or --mode poll',
      )
    const fds = Array.from({ length: count }, () => {
      const fd = createEventFd()
      undo.push(() => close(fd))
      return fd
    })
    setVectors(device, fds)
    undo.push(() => setVectors(device, []))
    return fds
  }

  assertAlive(): void {
    requireAnswer(this.config, this.name)
  }

  close(): void {
    this.parts.undo.runQuietly()
  }
}
