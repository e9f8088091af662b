import { mkdirSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DRIVERS } from '../../src/driver/registry.ts'
import type { DmaSegment } from '../../src/memory/arena.ts'
import { viewOf } from '../../src/linux/mapping.ts'
import { openSysfs, type PciOptions } from '../../src/pci/sysfs.ts'
import { addFunction, type FakeFunction, write } from './fake-sysfs.ts'

const address = '0000:03:00.0'
let root: string
let path: string
let options: PciOptions
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ixy-sysfs-'))
  const locks = join(root, 'locks')
  mkdirSync(locks)
  options = {
    known: DRIVERS,
    force: false,
    sysfsRoot: root,
    procNet: join(root, 'net'),
    lockDirectory: locks,
  }
})
afterEach(() => {
  rmSync(root, { recursive: true })
})

function add(fn: Partial<FakeFunction> = {}): void {
  path = addFunction(root, { address, driver: 'ixgbe', numaNode: 1, ...fn })
}

const text = (...names: string[]) => readFileSync(join(path, ...names), 'utf8')
const command = () => readFileSync(join(path, 'config')).readUInt16LE(4)
const failing = (code: string) => expect.objectContaining({ code })

describe('opening', () => {
  test('takes the function from its driver, wakes it and lets it do DMA', () => {
    add()
    const transport = openSysfs('0000:03:00.0', options)
    expect(text('driver/unbind')).toBe(address)
    expect(text('enable')).toBe('1')
    expect(command()).toBe(0x6)
    expect(transport).toMatchObject({
      name: address,
      access: 'sysfs',
      numaNode: 1,
      needsPhysicalAddresses: true,
    })
    transport.mapDma({} as DmaSegment)
    transport.close()
  })

  test('maps the registers, which read what was written', () => {
    add()
    const transport = openSysfs(address, { ...options, name: 'card' })
    expect(transport.name).toBe('card')
    expect(transport.bar0.bytes).toBe(512 * 1024)
    transport.bar0.write32(0x1018, 0xdeadbeef)
    expect(transport.bar0.read32(0x1018)).toBe(0xdeadbeef)
    expect(readFileSync(join(path, 'resource0')).readUInt32LE(0x1018)).toBe(0xdeadbeef)
    const page = new Uint32Array(viewOf(transport.doorbellPage(0x1000), 4096))
    page[6] = 12
    expect(transport.bar0.read32(0x1018)).toBe(12)
    for (const offset of [-4, 2, 512 * 1024]) expect(() => transport.bar0.read32(offset)).toThrow(RangeError)
    for (const offset of [-4096, 100, 512 * 1024])
      expect(() => transport.doorbellPage(offset)).toThrow(RangeError)
    expect(transport.config.read32(0)).toBe(0x10fb8086)
    expect(transport.config.read8(1)).toBe(0x80)
    transport.close()
    expect(() => transport.bar0.read32(0x1018)).toThrow(RangeError)
  })

  test('has no interrupts', () => {
    add()
    const transport = openSysfs(address, options)
    expect(() => transport.enableInterrupts(1)).toThrow(failing('IXY_ERR_NO_VFIO'))
    transport.close()
  })
})

describe('closing', () => {
  test('stops DMA and gives the function back to its driver, once', () => {
    add()
    const transport = openSysfs(address, options)
    transport.close()
    expect(command()).toBe(0x2)
    expect(text('enable')).toBe('0')
    // In this tree the driver has never let go, so there is nothing to bind: see the next test.
    transport.close()
  })

  test('binds the driver that had it before', () => {
    add()
    const bind = join(root, 'bus/pci/drivers/ixgbe/bind')
    const transport = openSysfs(address, options)
    unlinkSync(join(path, 'driver'))
    transport.close()
    expect(readFileSync(bind, 'utf8')).toBe(address)
  })

  test('leaves a function without driver without one', () => {
    path = addFunction(root, { address })
    openSysfs(address, options).close()
    expect(command()).toBe(0x2)
  })

  test('goes on when the device has vanished', () => {
    add()
    const transport = openSysfs(address, options)
    rmSync(path, { recursive: true })
    transport.close()
    expect(() => openSysfs(address, options)).toThrow(failing('IXY_ERR_DEVICE_NOT_FOUND'))
  })
})

test('a device that answers only ones is gone', () => {
  add()
  const transport = openSysfs(address, options)
  transport.assertAlive()
  writeFileSync(join(path, 'config'), Buffer.alloc(256, 0xff))
  expect(() => transport.assertAlive()).toThrow(failing('IXY_ERR_DEVICE_GONE'))
  transport.close()
})

describe('a device is refused', () => {
  test('if there is none', () => {
    expect(() => openSysfs('0000:04:00.0', options)).toThrow(failing('IXY_ERR_DEVICE_NOT_FOUND'))
  })

  test.each<[string, Partial<FakeFunction>, string]>([
    ['it is no NIC', { classCode: 0x010802 }, 'IXY_ERR_DEVICE_UNSUPPORTED'],
    ['it is another NIC', { deviceId: 0x10d3 }, 'IXY_ERR_DEVICE_UNSUPPORTED'],
    ['it has no registers', { barBytes: 0 }, 'IXY_ERR_DEVICE_UNSUPPORTED'],
    ['its interface is up', { interfaces: [{ name: 'ixyfake0', flags: 0x1003 }] }, 'IXY_ERR_DEVICE_IN_USE'],
    [
      'an interface of a driver on top is up',
      { interfaces: [{ name: 'ixyfake0', flags: 0x1003, nested: true }] },
      'IXY_ERR_DEVICE_IN_USE',
    ],
    ['it is bound to vfio-pci', { driver: 'vfio-pci' }, 'IXY_ERR_DEVICE_IN_USE'],
    ['an IOMMU translates', { iommuGroup: '7', iommuType: 'DMA-FQ' }, 'IXY_ERR_NO_VFIO'],
  ])('if %s', (_name, fn, code) => {
    add(fn)
    expect(() => openSysfs(address, options)).toThrow(failing(code))
    expect(command()).toBe(0)
  })

  test.each([
    ['an address', 'if_inet6', 'fe800000000000000000000000000001 0a 40 20 80 ixyfake0\n'],
    ['a route', 'route', 'Iface\tDestination\tGateway\nixyfake0\t00000000\t0100000A\n'],
    [
      'an IPv6 route',
      'ipv6_route',
      `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 00 00000400 01 0 00000001 ixyfake0\n`,
    ],
  ])('if its interface is down, but has %s; unless forced', (what, table, line) => {
    add({ interfaces: [{ name: 'ixyfake0' }] })
    write(join(root, 'net', table), line)
    expect(() => openSysfs(address, options)).toThrow(
      new RegExp(`the kernel uses ${address}: its interface ixyfake0 has an? ${what.split(' ').at(-1)}`),
    )
    expect(text('driver/unbind')).toBe('')
    openSysfs(address, { ...options, force: true }).close()
    expect(text('driver/unbind')).toBe(address)
  })

  test('but not if the interface is down and bare', () => {
    add({ interfaces: [{ name: 'ixyfake0' }] })
    write(join(root, 'net/route'), 'Iface\tDestination\nixyfake01\t00000000\n')
    openSysfs(address, options).close()
  })

  test('if another ixy-ts has it, whose pid is named', () => {
    add()
    const transport = openSysfs(address, options)
    expect(() => openSysfs(address, options)).toThrow(
      new RegExp(`${address} is used by another ixy-ts \\(pid ${process.pid}\\)`),
    )
    transport.close()
    openSysfs(address, options).close()
  })
})

describe('after a SIGKILL', () => {
  const bind = () => join(root, 'bus/pci/drivers/ixgbe/bind')
  const lock = () => join(root, 'locks', `${address}.lock`)

  test('the next one gives the function back to the driver that the dead one took it from', () => {
    add()
    const dead = openSysfs(address, options)
    const left = readFileSync(lock(), 'utf8')
    // As it is after a SIGKILL: no driver, and a file that nobody has locked.
    dead.close()
    unlinkSync(join(path, 'driver'))
    write(lock(), left)
    write(bind(), '')

    const next = openSysfs(address, options)
    expect(readFileSync(bind(), 'utf8')).toBe('')
    // It might be killed as well.
    expect(readFileSync(lock(), 'utf8')).toBe(left)
    next.close()
    expect(readFileSync(bind(), 'utf8')).toBe(address)
    expect(() => readFileSync(lock())).toThrow(/ENOENT/)

    write(bind(), '')
    openSysfs(address, options).close()
    expect(readFileSync(bind(), 'utf8')).toBe('')
  })

  test('so does one that fails', () => {
    add()
    unlinkSync(join(path, 'driver'))
    unlinkSync(join(path, 'resource0'))
    write(lock(), '4711 ixgbe -\n')
    expect(() => openSysfs(address, options)).toThrow(failing('IXY_ERR_DEVICE_UNSUPPORTED'))
    expect(readFileSync(bind(), 'utf8')).toBe(address)
  })

  test('a function that somebody has bound since goes back to that driver', () => {
    add({ driver: 'other' })
    write(bind(), '')
    write(lock(), '4711 ixgbe -\n')
    const transport = openSysfs(address, options)
    unlinkSync(join(path, 'driver'))
    transport.close()
    expect(readFileSync(bind(), 'utf8')).toBe('')
    expect(readFileSync(join(root, 'bus/pci/drivers/other/bind'), 'utf8')).toBe(address)
  })
})

describe('failing half way', () => {
  test('gives everything back', () => {
    add()
    unlinkSync(join(path, 'resource0'))
    expect(() => openSysfs(address, options)).toThrow()
    expect(text('enable')).toBe('0')
    expect(command() & 4).toBe(0)
    write(join(path, 'resource0'), Buffer.alloc(4096))
    openSysfs(address, options).close()
  })

  test('keeps what is known of a killed predecessor, unless the device is off the bus', () => {
    path = addFunction(root, { address })
    const lock = join(root, 'locks', `${address}.lock`)
    write(lock, '4711\n')
    unlinkSync(join(path, 'config'))
    expect(() => openSysfs(address, options)).toThrow()
    expect(readFileSync(lock, 'utf8')).toBe('4711\n')
    write(join(path, 'config'), Buffer.alloc(256))
    openSysfs(address, options).close()
    expect(() => readFileSync(lock)).toThrow(/ENOENT/)
  })
})
