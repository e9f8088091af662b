/** A tree like /sys with PCI functions in it. Writing to a control file only changes that file. */
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface FakeFunction {
  readonly address: string
  readonly vendorId?: number
  readonly deviceId?: number
  /** With the programming interface: 0x020000 is Ethernet. */
  readonly classCode?: number
  readonly driver?: string
  readonly numaNode?: number
  readonly iommuGroup?: string
  readonly iommuType?: string
  readonly interfaces?: readonly {
    name: string
    flags?: number
    carrier?: number
    speed?: number
    nested?: boolean
  }[]
  /** Bytes of BAR0; 0: none. */
  readonly barBytes?: number
  /** Bytes of BAR2, which is I/O ports; 0: none. */
  readonly portBytes?: number
  /** Bits of the command register that are set from the start. */
  readonly command?: number
}

export function write(path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** Adds the function below `root` and returns its directory. */
export function addFunction(root: string, fn: FakeFunction): string {
  const { address, vendorId = 0x8086, deviceId = 0x10fb, classCode = 0x020000 } = fn
  const path = join(root, 'devices/pci0000:00', address)
  mkdirSync(path, { recursive: true })
  link(path, join(root, 'bus/pci/devices', address))
  const hex = (number: number, digits: number) => `0x${number.toString(16).padStart(digits, '0')}\n`
  write(join(path, 'vendor'), hex(vendorId, 4))
  write(join(path, 'device'), hex(deviceId, 4))
  write(join(path, 'class'), hex(classCode, 6))
  write(join(path, 'numa_node'), `${fn.numaNode ?? -1}\n`)
  write(join(path, 'enable'), '0')
  write(join(path, 'driver_override'), '(null)\n')
  const config = Buffer.alloc(256)
  config.writeUInt16LE(vendorId, 0)
  config.writeUInt16LE(deviceId, 2)
  config.writeUInt16LE(fn.command ?? 0, 4)
  config.writeUInt16LE(0x0010, 6)
  config.writeUIntLE(classCode, 9, 3)
  if (fn.portBytes !== undefined) config.writeUInt32LE(0xc001, 0x18)
  write(join(path, 'config'), config)
  const barBytes = fn.barBytes ?? 512 * 1024
  for (const [name, bytes] of [
    ['resource0', barBytes],
    ['resource2', fn.portBytes ?? 0],
  ] as const) {
    if (bytes === 0) continue
    write(join(path, name), '')
    truncateSync(join(path, name), bytes)
  }
  if (fn.driver !== undefined) addDriver(root, path, fn.driver)
  if (fn.iommuGroup !== undefined) addGroup(root, path, fn.iommuGroup, fn.iommuType ?? 'identity')
  for (const { name, flags = 0x1002, carrier, speed, nested } of fn.interfaces ?? []) {
    const directory = join(path, nested ? 'virtio0/net' : 'net', name)
    write(join(directory, 'flags'), hex(flags, 4))
    if (carrier !== undefined) write(join(directory, 'carrier'), `${carrier}\n`)
    if (speed !== undefined) write(join(directory, 'speed'), `${speed}\n`)
    link(directory, join(root, 'class/net', name))
  }
  return path
}

function addDriver(root: string, path: string, driver: string): void {
  const directory = join(root, 'bus/pci/drivers', driver)
  write(join(directory, 'unbind'), '')
  write(join(directory, 'bind'), '')
  link(directory, join(path, 'driver'))
}

function addGroup(root: string, path: string, group: string, type: string): void {
  const directory = join(root, 'kernel/iommu_groups', group)
  write(join(directory, 'type'), `${type}\n`)
  link(path, join(directory, 'devices', path.slice(path.lastIndexOf('/') + 1)))
  link(directory, join(path, 'iommu_group'))
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path)
}
