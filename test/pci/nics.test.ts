import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DRIVERS } from '../../src/driver/registry.ts'
import { readFunction, type Roots } from '../../src/pci/function.ts'
import { lockDevice } from '../../src/pci/lock.ts'
import { listNics } from '../../src/pci/nics.ts'
import { chooseAccess } from '../../src/pci/requirements.ts'
import { openVfio } from '../../src/pci/vfio.ts'
import { addFunction, type FakeFunction, write } from './fake-sysfs.ts'

let root: string
let roots: Roots
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ixy-nics-'))
  roots = {
    sysfsRoot: root,
    procNet: join(root, 'net'),
    lockDirectory: join(root, 'locks'),
    vfioDirectory: join(root, 'vfio'),
  }
  mkdirSync(join(root, 'locks'))
})
afterEach(() => {
  rmSync(root, { recursive: true })
})

const add = (fn: Partial<FakeFunction> = {}) => addFunction(root, { address: '0000:03:00.0', ...fn })
const loadVfio = () => mkdirSync(join(root, 'bus/pci/drivers/vfio-pci'), { recursive: true })
const obstacle = () => listNics(DRIVERS, roots)[0].obstacle

describe('the list of NICs', () => {
  test('has every Ethernet controller and nothing else, sorted', () => {
    add({
      address: '0000:03:00.1',
      driver: 'ixgbe',
      numaNode: 1,
      iommuGroup: '9',
      interfaces: [{ name: 'ixyfake1', flags: 3, carrier: 1, speed: 10000 }],
    })
    add({
      address: '0000:03:00.0',
      deviceId: 0x1528,
      interfaces: [{ name: 'ixyfake0', flags: 3, carrier: 0 }],
    })
    add({ address: '0000:00:01.0', classCode: 0x060000 })
    add({
      address: '0000:00:02.0',
      vendorId: 0x1af4,
      deviceId: 0x1041,
      driver: 'virtio-pci',
      interfaces: [{ name: 'ixyfake2', flags: 3, carrier: 1, speed: -1 }],
    })
    expect(listNics(DRIVERS, roots)).toMatchObject([
      {
        address: '0000:00:02.0',
        family: 'virtio-net',
        model: 'virtio-net',
        driver: 'virtio-pci',
        linkMbit: null,
      },
      {
        address: '0000:03:00.0',
        family: 'X540',
        driver: null,
        interfaces: ['ixyfake0'],
        linkMbit: 0,
        iommuGroup: null,
      },
      {
        address: '0000:03:00.1',
        model: 'Intel 82599ES 10GbE SFP+',
        driver: 'ixgbe',
        interfaces: ['ixyfake1'],
        linkMbit: 10000,
        numaNode: 1,
        iommuGroup: '9',
      },
    ])
  })

  test('is empty where there is no PCI', () => {
    expect(listNics(DRIVERS, { sysfsRoot: join(root, 'nowhere') })).toEqual([])
  })

  test('says why a card can not be used', () => {
    add({ deviceId: 0x10d3 })
    expect(obstacle()).toMatchObject({ code: 'IXY_ERR_DEVICE_UNSUPPORTED' })
  })

  test('says who uses a card', () => {
    add({ driver: 'ixgbe', interfaces: [{ name: 'ixyfake0', flags: 3 }] })
    expect(obstacle()?.message).toMatch(/its interface ixyfake0 is up.*--force/)
  })

  test('names another ixy-ts, and leaves its lock alone', () => {
    add()
    const lock = lockDevice('0000:03:00.0', roots.lockDirectory)
    expect(obstacle()?.message).toContain(`used by another ixy-ts (pid ${process.pid})`)
    lock.release()
    expect(obstacle()?.message ?? '').not.toContain('another ixy-ts')
    write(join(root, 'locks/0000:03:00.0.lock'), '4711\n')
    expect(obstacle()?.message ?? '').not.toContain('another ixy-ts')
  })

  test.each<[string, Partial<FakeFunction>, boolean, RegExp | null]>([
    ['nothing', { driver: 'vfio-pci', iommuGroup: '9' }, true, null],
    ['the module', { iommuGroup: '9', iommuType: 'DMA' }, false, /vfio-pci is not loaded.*modprobe/],
    ['the group', { driver: 'vfio-pci', iommuGroup: '8' }, true, /vfio\/8, .*, doesn't exist/],
    [
      'the group for itself',
      { driver: 'vfio-pci', iommuGroup: '7' },
      true,
      /group 7 .* 0000:03:00.1 \(ixgbe\)/,
    ],
  ])('says what VFIO lacks: %s', (_name, fn, loaded, message) => {
    if (loaded) loadVfio()
    for (const group of ['7', '9']) write(join(root, 'vfio', group), '')
    write(join(root, 'vfio/vfio'), '')
    add(fn)
    addFunction(root, { address: '0000:03:00.1', driver: 'ixgbe', iommuGroup: '7' })
    if (message === null) expect(obstacle()).toBeNull()
    else expect(obstacle()?.message).toMatch(message)
  })
})

describe('the way to a card', () => {
  const way = () => chooseAccess(readFunction('0000:03:00.0', root), root)

  test.each<[string, Partial<FakeFunction>, boolean]>([
    ['vfio', { driver: 'vfio-pci', iommuGroup: '1' }, true],
    ['vfio', { driver: 'ixgbe', iommuGroup: '1' }, true],
    ['vfio', { driver: 'ixgbe', iommuGroup: '1', iommuType: 'DMA' }, false],
    ['sysfs', { driver: 'ixgbe', iommuGroup: '1' }, false],
    ['sysfs', { driver: 'ixgbe' }, true],
    ['sysfs', {}, false],
  ])('is %s for %j (vfio-pci loaded: %s)', (expected, fn, loaded) => {
    if (loaded) loadVfio()
    add(fn)
    expect(way()).toBe(expected)
  })

  test('is sysfs if a neighbour in the group keeps VFIO away, but a bridge does not', () => {
    loadVfio()
    add({ driver: 'ixgbe', iommuGroup: '1' })
    addFunction(root, { address: '0000:00:1c.0', driver: 'pcieport', iommuGroup: '1', classCode: 0x060400 })
    expect(way()).toBe('vfio')
    addFunction(root, { address: '0000:03:00.1', driver: 'ixgbe', iommuGroup: '1' })
    expect(way()).toBe('sysfs')
  })
})

describe('VFIO is refused', () => {
  const open = () => openVfio('0000:03:00.0', { ...roots, known: DRIVERS, force: false })

  test.each<[string, Partial<FakeFunction>, boolean, string, RegExp]>([
    ['without IOMMU', {}, true, 'IXY_ERR_NO_VFIO', /behind no IOMMU.*intel_iommu=on/],
    ['without vfio-pci', { iommuGroup: '1' }, false, 'IXY_ERR_NO_VFIO', /modprobe vfio-pci/],
    [
      'without the vfio module',
      { driver: 'vfio-pci', iommuGroup: '1' },
      true,
      'IXY_ERR_NO_VFIO',
      /vfio\/vfio doesn't exist/,
    ],
    [
      'if vfio-pci does not take the device',
      { iommuGroup: '1' },
      true,
      'IXY_ERR_NO_VFIO',
      /vfio-pci didn't take/,
    ],
    [
      'if the kernel uses it',
      { iommuGroup: '1', driver: 'ixgbe', interfaces: [{ name: 'ixyfake0', flags: 3 }] },
      true,
      'IXY_ERR_DEVICE_IN_USE',
      /ixyfake0 is up/,
    ],
    ['for what is no NIC', { classCode: 0x010802 }, true, 'IXY_ERR_DEVICE_UNSUPPORTED', /not a network card/],
  ])('%s', (_name, fn, loaded, code, message) => {
    if (loaded) loadVfio()
    add(fn)
    expect(open).toThrow(expect.objectContaining({ code }))
    expect(open).toThrow(message)
  })
})
