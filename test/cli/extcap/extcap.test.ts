import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { folderIn, install, uninstall } from '../../../src/cli/extcap/install.ts'
import { configLines, deviceOf, interfaceLines } from '../../../src/cli/extcap/protocol.ts'
import { IxyError } from '../../../src/errors.ts'

const folder = mkdtempSync(path.join(tmpdir(), "ixy'extcap-"))
afterAll(() => rmSync(folder, { recursive: true }))

test('cards that can be used are interfaces, others are not', () => {
  const card = (address: string, obstacle: IxyError | null) => ({
    address,
    model: 'Intel {82599ES}',
    obstacle,
  })
  const used = new IxyError('IXY_ERR_DEVICE_IN_USE', 'in use')
  const lines = interfaceLines([card('0000:03:00.0', null), card('0000:03:00.1', used)])
  expect(lines.filter((line) => line.startsWith('interface'))).toEqual([
    'interface {value=ixy-ts-0000:03:00.0}{display=ixy-ts: Intel  82599ES , 0000:03:00.0}',
    'interface {value=ixy-ts}{display=ixy-ts: any device}',
  ])
  expect(lines[0]).toMatch(/^extcap \{version=\d/)
})

test('the device of an interface is in its name, or in its option', () => {
  expect(deviceOf('ixy-ts-0000:03:00.0', undefined)).toBe('0000:03:00.0')
  expect(deviceOf('ixy-ts', 'virtual:sink')).toBe('virtual:sink')
  expect(deviceOf('ixy-ts', undefined)).toMatch(/^virtual:gen/)
  expect(() => deviceOf('eth0', undefined)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
  expect(configLines('ixy-ts').join('\n')).toMatch(/call=--device/)
  expect(configLines('ixy-ts-0000:03:00.0').join('\n')).not.toMatch(/call=--device/)
})

test("Wireshark's folder is the user's own, where it has one", () => {
  const before = 'Temp:   /tmp\nExtcap path:    /usr/lib/wireshark/extcap\n'
  const since =
    'Personal Extcap path:\t/home/me/.local/lib/wireshark/extcap\nGlobal Extcap path:\t/usr/lib/extcap\n'
  expect(folderIn(before)).toBe('/usr/lib/wireshark/extcap')
  expect(folderIn(since)).toBe('/home/me/.local/lib/wireshark/extcap')
  expect(folderIn('nothing')).toBeNull()
})

test('what is installed runs, and goes again; what is not ours stays', () => {
  const where = path.join(folder, 'a', 'b')
  const file = install(where)
  expect(file).toBe(path.join(where, 'ixy-ts'))
  expect(install(where)).toBe(file)
  expect(statSync(file).mode & 0o777).toBe(0o755)
  const answer = execFileSync(file, ['--extcap-interface', 'ixy-ts', '--extcap-dlts'], { encoding: 'utf8' })
  expect(answer).toBe('dlt {number=1}{name=EN10MB}{display=Ethernet}\n')
  expect(uninstall(where)).toBe(file)
  expect(uninstall(where)).toBeNull()
  writeFileSync(file, 'somebody else')
  const refusal = expect.objectContaining({ code: 'IXY_ERR_FILE' }) as Error
  expect(() => install(where)).toThrow(refusal)
  expect(() => uninstall(where)).toThrow(refusal)
  expect(readFileSync(file, 'utf8')).toBe('somebody else')
})
