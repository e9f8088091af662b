import { mkdirSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DRIVERS } from '../../src/driver/registry.ts'
import { pread, pwrite } from '../../src/linux/file.ts'
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
    expect(transport.bar(0).bytes).toBe(512 * 1024)
    transport.bar(0).write32(0x1018, 0xdeadbeef)
    expect(transport.bar(0).read32(0x1018)).toBe(0xdeadbeef)
    expect(readFileSync(join(path, 'resource0')).readUInt32LE(0x1018)).toBe(0xdeadbeef)
    const bar = transport.bar(0)
    expect(transport.bar(0)).toBe(bar)
    expect(bar.space).toBe('memory')
    const doorbell = transport.doorbell(0, 0x1018)
    if (doorbell?.kind !== 'memory') throw new Error('not in memory')
    expect(doorbell.offset).toBe(0x18)
    new Uint32Array(viewOf(doorbell.page, 4096))[6] = 12
    expect(bar.read32(0x1018)).toBe(12)
    for (const offset of [-4, 2, 512 * 1024]) {
      expect(() => bar.read32(offset)).toThrow(RangeError)
      expect(() => bar.write32(offset, 0)).toThrow(RangeError)
    }
    for (const offset of [-4096, 512 * 1024]) expect(() => transport.doorbell(0, offset)).toThrow(RangeError)
    expect(transport.config.read32(0)).toBe(0x10fb8086)
    expect(transport.config.read8(1)).toBe(0x80)
    transport.close()
    expect(() => bar.read32(0x1018)).toThrow(RangeError)
    expect(() => transport.bar(0)).toThrow(/is closed/)
  })

  test('reaches registers of 8 and 16 bits, each with its own width', () => {
    add()
    const transport = openSysfs(address, options)
    const bar = transport.bar(0)
    bar.write32(0x10, 0x44332211)
    bar.write16(0x12, 0xaabb)
    bar.write8(0x11, 0xcc)
    expect([bar.read8(0x10), bar.read8(0x11), bar.read16(0x10), bar.read16(0x12), bar.read32(0x10)]).toEqual([
      0x11, 0xcc, 0xcc11, 0xaabb, 0xaabbcc11,
    ])
    expect(() => bar.read16(0x11)).toThrow(RangeError)
    expect(() => bar.write16(512 * 1024, 0)).toThrow(RangeError)
    expect(() => bar.read8(512 * 1024)).toThrow(RangeError)
    transport.close()
  })

  test('reaches I/O ports through their file, and lets the function answer there', () => {
    add({ portBytes: 64 })
    const transport = openSysfs(address, options)
    expect(command()).toBe(0x6)
    const bar = transport.bar(2)
    expect(command()).toBe(0x7)
    expect([bar.space, bar.bytes]).toEqual(['io', 64])
    bar.write32(8, 0xfedcba98)
    bar.write16(14, 0x1234)
    bar.write8(18, 0x0f)
    expect([bar.read32(8), bar.read16(14), bar.read8(18), bar.read8(8)]).toEqual([
      0xfedcba98, 0x1234, 0x0f, 0x98,
    ])
    expect(readFileSync(join(path, 'resource2')).readUInt32LE(8)).toBe(0xfedcba98)
    for (const offset of [-2, 1, 64]) expect(() => bar.read16(offset)).toThrow(RangeError)
    const doorbell = transport.doorbell(2, 16)
    if (doorbell?.kind !== 'file') throw new Error('not a file')
    pwrite(doorbell.fd, Uint16Array.of(0xbeef), doorbell.offset)
    expect(bar.read16(16)).toBe(0xbeef)
    transport.close()
    expect(() => bar.read8(0)).toThrow(RangeError)
    expect(() => pread(doorbell.fd, new Uint8Array(2), 16)).toThrow(/EBADF/)
  })

  test('has no more BARs than the function, and none whose page isn’t its own', () => {
    add({ barBytes: 256 })
    const transport = openSysfs(address, options)
    for (const index of [1, 5, 6, -1, 0.5])
      expect(() => transport.bar(index)).toThrow(failing('IXY_ERR_DEVICE_UNSUPPORTED'))
    expect(() => transport.bar(0)).toThrow(/smaller than a page.*--access vfio/)
    transport.close()
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
    unlinkSync(join(path, 'config'))
    write(lock(), '4711 ixgbe -\n')
    expect(() => openSysfs(address, options)).toThrow(/ENOENT/)
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
    const config = readFileSync(join(path, 'config'))
    unlinkSync(join(path, 'config'))
    mkdirSync(join(path, 'config'))
    expect(() => openSysfs(address, options)).toThrow(/EISDIR/)
    expect(text('enable')).toBe('0')
    rmSync(join(path, 'config'), { recursive: true })
    write(join(path, 'config'), config)
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
