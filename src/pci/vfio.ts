/**
 * The way to a card through VFIO: the IOMMU lets it reach what is mapped for it and nothing else, so an ordinary user
 * who owns the group may do this (Documentation/driver-api/vfio.rst of Linux).
 */
import { IxyError } from '../errors.ts'
import { close, createEventFd } from '../linux/file.ts'
import { mmap } from '../linux/mapping.ts'
import type { DmaSegment } from '../memory/arena.ts'
import { bindToVfio } from './binding.ts'
import { type PciFunction, readFunction, requireUnused } from './function.ts'
import { lockDevice } from './lock.ts'
import { FileConfigSpace, MappedBar, requireAnswer, setBusMaster } from './register-access.ts'
import type { PciOptions } from './sysfs.ts'
import type { Transport } from './transport.ts'
import { Undo } from '../undo.ts'
import { requireIommu, requireVfioPci } from './vfio-checks.ts'
import { type GroupHold, holdGroup } from './vfio-container.ts'
import { countVectors, getDevice, getRegion, resetDevice, setVectors } from './vfio-ioctl.ts'

const BAR0 = 0
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
    const bar = mapBar0(device, address)
    undo.push(() => bar.unmap())
    undo.push(() => setBusMaster(config, false))
    setBusMaster(config, true)
    return new VfioTransport({ name: options.name ?? address, fn, device, group, config, bar, undo })
  } catch (error) {
    undo.runQuietly()
    throw error
  }
}

function mapBar0(device: number, address: string): MappedBar {
  const { bytes, offset } = getRegion(device, BAR0)
  if (bytes === 0)
    throw new IxyError('IXY_ERR_DEVICE_UNSUPPORTED', `${address} has no registers in memory (BAR0)`)
  return new MappedBar(mmap(bytes, { fd: device, offset }), bytes)
}

interface Parts {
  readonly name: string
  readonly fn: PciFunction
  readonly device: number
  readonly group: GroupHold
  readonly config: FileConfigSpace
  readonly bar: MappedBar
  readonly undo: Undo
}

class VfioTransport implements Transport {
  readonly access = 'vfio'
  readonly needsPhysicalAddresses = false
  readonly name: string
  readonly numaNode: number
  readonly config: FileConfigSpace
  readonly bar0: MappedBar
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.name = parts.name
    this.numaNode = parts.fn.numaNode
    this.config = parts.config
    this.bar0 = parts.bar
    this.parts = parts
  }

  mapDma(segment: DmaSegment): void {
    this.parts.group.map(segment)
  }

  doorbellPage(offset: number): bigint {
    return this.bar0.page(offset)
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
