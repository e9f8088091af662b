import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { formatMac } from '../../src/packet/mac.ts'
import { macOfName, macOfSocket } from '../../src/vnic/mac.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const macOf = (...parts: string[]): string => formatMac(macOfSocket(path.join(directory, ...parts)))

describe('the MAC address of a server', () => {
  test("is its socket's alone, in every folder", () => {
    const folders = Array.from({ length: 50 }, (_, i) => `f${i}`)
    for (const folder of folders) mkdirSync(path.join(directory, folder))
    const macs = folders.flatMap((folder) => [macOf(folder, 'nic.sock'), macOf(folder, 'b.sock')])
    expect(new Set(macs).size).toBe(100)
  })

  test('is the same after a restart, by whatever way the socket is named', () => {
    mkdirSync(path.join(directory, 'real'))
    symlinkSync(path.join(directory, 'real'), path.join(directory, 'link'))
    const mac = macOf('real', 'nic.sock')
    expect(macOf('real', 'nic.sock')).toBe(mac)
    expect(macOf('link', 'nic.sock')).toBe(mac)
    expect(formatMac(macOfSocket(path.join(directory, 'real', '..', 'real', 'nic.sock')))).toBe(mac)
  })

  test('is another one in a folder that was made anew: the old server may still run', () => {
    const folder = path.join(directory, 'again')
    mkdirSync(folder)
    const before = macOf('again', 'nic.sock')
    rmSync(folder, { recursive: true })
    mkdirSync(folder)
    expect(macOf('again', 'nic.sock')).not.toBe(before)
  })

  test('is unicast and locally administered', () => {
    for (let i = 0; i < 64; i++) expect(macOfSocket(path.join(directory, `${i}`))[0] & 3).toBe(2)
  })
})

test('that of a NIC without a socket of its own follows from its name, wherever and whenever', () => {
  expect(formatMac(macOfName('virtual:gen 0'))).toBe(formatMac(macOfName('virtual:gen 0')))
  expect(formatMac(macOfName('virtual:gen 0'))).not.toBe(formatMac(macOfName('virtual:gen 1')))
  expect(macOfName('x')[0] & 3).toBe(2)
})
