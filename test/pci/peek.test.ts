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
  expect(opened.read32(8)).toBe(0x80080)
  opened.close()
  expect(() => opened.read32(8)).toThrow(RangeError)
})

test('says so when the function answers no memory access: its registers would all read as 0 or all ones', () => {
  setCommand(0)
  expect(look).toThrow(
    expect.objectContaining({
      code: 'IXY_ERR_SYSTEM',
      fix: expect.stringMatching(/echo 1 .*0000:03:00\.0\/enable/),
    }),
  )
})
