import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { probeCapture } from '../../src/captures/probe.ts'
import { becomes } from '../e2e/support.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-captures-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('who waits to write to a FIFO goes on waiting until it is played', async () => {
  const fifo = path.join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const writer = spawn('sh', ['-c', 'exec echo written >"$0"', fifo], { stdio: 'ignore' })
  const ended = once(writer, 'exit')
  // Asleep in open(): it has nothing else to wait for.
  const waits = (): boolean => / S /.test(readFileSync(`/proc/${writer.pid}/stat`, 'utf8'))
  const isShell = (): boolean => readFileSync(`/proc/${writer.pid}/cmdline`, 'utf8').startsWith('sh\0')
  expect(await becomes(() => isShell() && waits(), 5000)).toBe(true)
  probeCapture(fifo)
  const reader = createReadStream(fifo, 'utf8')
  expect(await once(reader, 'data')).toEqual(['written\n'])
  expect(await ended).toEqual([0, null])
})
