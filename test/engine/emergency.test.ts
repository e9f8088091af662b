import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { forget, remember, stopAtOnce } from '../../src/engine/emergency.ts'
import { COMMAND, COMMAND_RUN, COMMAND_STOP } from '../../src/engine/worker-spec.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-emergency-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('workers are told to stop, cards lose their right to DMA and keep the rest', () => {
  const configFile = path.join(directory, 'config')
  const config = Buffer.alloc(256, 0xa5)
  // Command: I/O space off, memory space and bus master on, interrupt disable on.
  config.writeUInt16LE(0x0406, 4)
  writeFileSync(configFile, config)
  const control = new SharedArrayBuffer(4)
  const words = new Int32Array(control)
  words[COMMAND] = COMMAND_RUN
  const others = new SharedArrayBuffer(4)
  const all = [{ control }, { configFile: path.join(directory, 'gone') }, { configFile }]
  for (const what of all) remember(what)
  const past = { control: others }
  remember(past)
  forget(past)

  stopAtOnce()
  expect(words[COMMAND]).toBe(COMMAND_STOP)
  expect(new Int32Array(others)[COMMAND]).toBe(0)
  const expected = Buffer.from(config)
  expected.writeUInt16LE(0x0402, 4)
  expect(readFileSync(configFile)).toEqual(expected)
  for (const what of all) forget(what)
})
