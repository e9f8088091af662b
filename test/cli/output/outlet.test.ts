import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Chalk } from 'chalk'
import { createLog } from '../../../src/cli/log.ts'
import { Outlet, stderr } from '../../../src/cli/output/outlet.ts'
import { DataOutput } from '../../../src/cli/output/stdout.ts'
import { pipe, readUntil, shut } from '../../e2e/descriptors.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-outlet-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('keeps what a pipe does not take, and tells how much that is', async () => {
  const { near, far } = pipe(4096)
  const outlet = new Outlet(far, null)
  const lines = Array.from({ length: 1000 }, (_, i) => `line ${i} ${'x'.repeat(i % 50)}\n`)
  for (const line of lines) outlet.write(line)
  expect(outlet.waiting).toBe(lines.join('').length)
  const text = await readUntil(near, (read) => read.length === lines.join('').length)
  expect(text).toBe(lines.join(''))
  await outlet.flushed()
  expect(outlet.waiting).toBe(0)
})

test('leaves lines of others whole: no write is larger than a pipe takes in one piece', async () => {
  const { near, far } = pipe(1 << 16)
  const [a, b] = ['a', 'b'].map((name) => ({ name, outlet: new Outlet(far, null) }))
  for (let i = 0; i < 500; i++) for (const { name, outlet } of [a, b]) outlet.write(`${name.repeat(i)}\n`)
  const all = a.outlet.waiting + b.outlet.waiting
  const text = await readUntil(near, (read) => read.length === all)
  expect(text.length).toBe(all)
  for (const line of text.split('\n')) expect(new Set(line).size).toBeLessThan(2)
})

test('drops offers beyond the limit, and only those', async () => {
  const { near, far } = pipe(4096)
  const outlet = new Outlet(far, null)
  let taken = 0
  while (outlet.offer('interval\n', 100_000)) taken++
  expect(taken * 9).toBeGreaterThan(100_000)
  expect(taken * 9).toBeLessThan(100_020)
  outlet.write('end\n')
  expect(await readUntil(near, (text) => text.endsWith('end\n'))).toBe(`${'interval\n'.repeat(taken)}end\n`)
})

test('a line of an interval is written, or counted as one that is left out', async () => {
  const { near, far } = pipe(1 << 16)
  const output = new DataOutput(new Outlet(far, null), new Chalk({ level: 0 }))
  const text = 'interval '.repeat(10_000)
  for (let i = 0; i < 60; i++) output.intervalLine(text)
  output.line('end')
  const { length } = (await readUntil(near, (all) => all.endsWith('end\n'))).split('\n')
  expect(output.dropped).toBeGreaterThan(0)
  expect(length - 2 + output.dropped).toBe(60)
})

test('lines of the log that nobody reads are counted, and told once somebody does', () => {
  const told: string[] = []
  let read = false
  let emptied = (): void => undefined
  const offer = jest.spyOn(stderr, 'offer').mockImplementation((line) => read && told.push(line) > 0)
  const onEmpty = jest.spyOn(stderr, 'onEmpty').mockImplementation((then) => void (emptied = then))
  const log = createLog('info', false)
  for (let i = 0; i < 3; i++) log.info('nobody reads this')
  read = true
  for (let i = 0; i < 2; i++) emptied()
  expect(told).toEqual([expect.stringContaining('3 log lines were dropped: nobody read stderr')])
  offer.mockRestore()
  onEmpty.mockRestore()
})

test('two of one file keep the order of lines', async () => {
  const file = path.join(directory, 'both')
  const fds = [openSync(file, 'a'), openSync(file, 'a')]
  const first = new Outlet(fds[0], null)
  const second = new Outlet(fds[1], first)
  for (let i = 0; i < 100; i++) (i % 3 === 0 ? second : first).write(`${i}\n`)
  await Promise.all([first.flushed(), second.flushed()])
  expect(readFileSync(file, 'utf8')).toBe(Array.from({ length: 100 }, (_, i) => `${i}\n`).join(''))
  fds.forEach(closeSync)
})

test('a reader that has gone is no failure, a full disk is one', async () => {
  const { near, far } = pipe(4096)
  const outlet = new Outlet(far, null)
  const told = new Promise<void>((resolve) => outlet.onUnwritable(resolve))
  for (let i = 0; i < 10_000; i++) outlet.write('nobody reads this\n')
  shut(near)
  await told
  await outlet.flushed()
  expect(outlet).toMatchObject({ gone: true, failure: null, waiting: 0 })

  const full = openSync('/dev/full', 'w')
  const disk = new Outlet(full, null)
  disk.write('text')
  await disk.flushed()
  expect(disk).toMatchObject({ gone: false, failure: { code: 'ENOSPC' }, waiting: 0 })
  closeSync(full)
})

test('the last words are written before the call returns, or not at all', () => {
  const { near, far } = pipe(4096)
  const outlet = new Outlet(far, null)
  outlet.writeNow('last words\n')
  const buffer = Buffer.alloc(100)
  expect(buffer.toString('utf8', 0, readSync(near, buffer))).toBe('last words\n')
  outlet.write('x'.repeat(10_000))
  outlet.writeNow('no room for these\n')
  expect(outlet.waiting).toBe(10_000)
})
