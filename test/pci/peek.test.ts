import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DRIVERS } from '../../src/driver/registry.ts'
import { peek } from '../../src/pci/peek.ts'
import { addFunction } from './fake-sysfs.ts'

const address = '0000:03:00.0'
let sysfsRoot: string
let path: string
beforeEach(() => {
  sysfsRoot = mkdtempSync(join(tmpdir(), 'ixy-peek-'))
  path = addFunction(sysfsRoot, { address })
})
afterEach(() => {
  rmSync(sysfsRoot, { recursive: true })
})

const look = () => peek({ kind: 'pci', address }, { known: DRIVERS, force: false, sysfsRoot })

/** The command register: memory accesses answered (2) or not (0). */
function setCommand(value: number): void {
  const config = Buffer.alloc(256)
  config.writeUInt16LE(value, 4)
  writeFileSync(join(path, 'config'), config)
}

test('reads registers', () => {
  setCommand(0x2)
  const registers = Buffer.alloc(512 * 1024)
  registers.writeUInt32LE(0x80080, 8)
  writeFileSync(join(path, 'resource0'), registers)
  const opened = look()
  const bar = opened.bar(0)
  expect(bar.read32(8)).toBe(0x80080)
  expect(opened.config.read16(4)).toBe(2)
  opened.close()
  expect(() => bar.read32(8)).toThrow(RangeError)
})

test('reads I/O ports', () => {
  addFunction(sysfsRoot, { address: '0000:04:00.0', portBytes: 32, command: 0x1 })
  const opened = peek({ kind: 'pci', address: '0000:04:00.0' }, { known: DRIVERS, force: false, sysfsRoot })
  expect(opened.bar(2).read16(18)).toBe(0)
  expect(() => opened.bar(0)).toThrow(/switched off \(memory space/)
  opened.close()
})

test('says so when the function answers no memory access: its registers would all read as 0 or all ones', () => {
  setCommand(0)
  const opened = look()
  expect(() => opened.bar(0)).toThrow(
    expect.objectContaining({
      code: 'IXY_ERR_SYSTEM',
      fix: expect.stringMatching(/echo 1 .*0000:03:00\.0\/enable/),
    }),
  )
  opened.close()
})
