import { mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bindToVfio, type DriverNote, unbindDriver } from '../../src/pci/binding.ts'
import { readFunction } from '../../src/pci/function.ts'
import { addFunction, write } from './fake-sysfs.ts'

const address = '0000:03:00.0'
let root: string
let path: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ixy-binding-'))
})
afterEach(() => {
  rmSync(root, { recursive: true })
})

function add(driver?: string): void {
  path = addFunction(root, driver === undefined ? { address } : { address, driver })
}

/** What the lock tells of the last owner, and what it would tell the next one. */
function noteOf(inherited = ''): DriverNote & { latest: string } {
  const note = { inherited, latest: inherited, note: (text: string) => (note.latest = text) }
  return note
}

const here = () => readFunction(address, root)
const written = (...names: string[]) => readFileSync(join(root, ...names), 'utf8')
const override = () => readFileSync(join(path, 'driver_override'), 'utf8')

describe('vfio-pci', () => {
  test('that does not take the function is an error, and the driver gets it back', () => {
    add('ixgbe')
    const driver = join(path, 'driver')
    const fn = here()
    // The files of this tree do nothing: as if vfio-pci had refused.
    expect(() => bindToVfio(fn, noteOf(), root)).toThrow(expect.objectContaining({ code: 'IXY_ERR_NO_VFIO' }))
    expect(written('bus/pci/drivers/ixgbe/unbind')).toBe(address)
    expect(written('bus/pci/drivers_probe')).toBe(address)
    expect(override()).toBe('\n')
    // With the driver off, as the kernel would have it.
    unlinkSync(driver)
    expect(() => bindToVfio(fn, noteOf(), root)).toThrow(
      expect.objectContaining({ code: 'IXY_ERR_PERMISSION' }),
    )
    expect(written('bus/pci/drivers/ixgbe/bind')).toBe(address)
  })

  test('keeps a function that was bound to it by somebody else', () => {
    add('vfio-pci')
    for (const note of [noteOf(), noteOf('ixgbe -')]) {
      bindToVfio(here(), note, root)()
      expect(note.latest).toBe(note.inherited)
    }
    expect(written('bus/pci/drivers/vfio-pci/unbind')).toBe('')
    expect(override()).toBe('(null)\n')
  })

  test.each([
    ['ixgbe', 'the driver it belongs to', address],
    ['-', 'none, if it had none', ''],
  ])('that a killed ixy-ts bound the function to gives it back to %s: %s', (home, _what, bound) => {
    add('vfio-pci')
    write(join(root, 'bus/pci/drivers/ixgbe/bind'), '')
    const note = noteOf(`${home} vfio-pci`)
    const undo = bindToVfio(here(), note, root)
    expect(note.latest).toBe(`${home} vfio-pci`)
    expect(written('bus/pci/drivers/vfio-pci/unbind')).toBe('')
    undo()
    expect(written('bus/pci/drivers/vfio-pci/unbind')).toBe(address)
    expect(override()).toBe('\n')
    expect(written('bus/pci/drivers/ixgbe/bind')).toBe(bound)
  })

  test('takes a function that a killed ixy-ts had through sysfs, and knows where it belongs', () => {
    add()
    write(join(root, 'bus/pci/drivers_probe'), '')
    const note = noteOf('ixgbe -')
    const fn = here()
    // The kernel would bind it during the write to drivers_probe.
    write(join(root, 'bus/pci/drivers/vfio-pci/unbind'), '')
    write(join(root, 'bus/pci/drivers/ixgbe/bind'), '')
    symlinkSync(join(root, 'bus/pci/drivers/vfio-pci'), join(path, 'driver'))
    bindToVfio(fn, note, root)()
    expect(note.latest).toBe('ixgbe vfio-pci')
    expect(written('bus/pci/drivers_probe')).toBe(address)
    expect(written('bus/pci/drivers/ixgbe/bind')).toBe(address)
  })
})

test('the note is there before the driver has lost the function', () => {
  add('ixgbe')
  const note: DriverNote = {
    inherited: '',
    note: (text) => {
      expect(text).toBe('ixgbe -')
      expect(written('bus/pci/drivers/ixgbe/unbind')).toBe('')
    },
  }
  unbindDriver(here(), note, root)
  expect(written('bus/pci/drivers/ixgbe/unbind')).toBe(address)
  expect.assertions(3)
})
