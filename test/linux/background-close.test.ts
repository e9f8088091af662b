import { readdirSync, readlinkSync } from 'node:fs'
import { BackgroundClose, closing } from '../../src/linux/background-close.ts'
import { close, createEventFd } from '../../src/linux/file.ts'
import * as libc from '../../src/linux/libc.ts'

/** Reading the folder takes a descriptor for as long, which may have one of the numbers. */
function openFds(): number[] {
  return readdirSync('/proc/self/fd')
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventfd]'
      } catch {
        return false
      }
    })
    .map(Number)
}

/** Twenty, of which every fifth is not to be closed. */
function some(): { gone: number[]; kept: number[] } {
  const fds = Array.from({ length: 20 }, createEventFd)
  return { gone: fds.filter((_, i) => i % 5 !== 4), kept: fds.filter((_, i) => i % 5 === 4) }
}

async function allGone(closer: BackgroundClose, count: () => number, gone: readonly number[]): Promise<void> {
  expect([closer.pending, count()]).toEqual([gone.length, gone.length])
  while (count() > 0) await new Promise(setImmediate)
  expect(closer.pending).toBe(0)
}

test('what is given away is closed, and nothing else', async () => {
  const { gone, kept } = some()
  const closer = new BackgroundClose()
  for (const fd of gone) closer.close(fd)
  await allGone(closer, closing, gone)
  const open = openFds()
  expect(open.filter((fd) => gone.includes(fd))).toEqual([])
  expect(kept.filter((fd) => !open.includes(fd))).toEqual([])
  kept.forEach(close)
})

test('also where the kernel closes one at a time only', async () => {
  jest.resetModules()
  const refused = jest.fn((...args: unknown[]) => (args.at(-1) as (e: unknown, n: number) => void)(null, -1))
  jest.doMock('../../src/linux/libc.ts', () => ({
    ...libc,
    declareAsync: (prototype: string) =>
      prototype.includes('syscall') ? refused : libc.declareAsync(prototype),
  }))
  const old = await import('../../src/linux/background-close.ts')
  const { gone, kept } = some()
  const closer = new old.BackgroundClose()
  for (const fd of gone) closer.close(fd)
  await allGone(closer, old.closing, gone)
  expect(refused).toHaveBeenCalledTimes(1)
  const open = openFds()
  expect(open.filter((fd) => gone.includes(fd))).toEqual([])
  expect(kept.filter((fd) => !open.includes(fd))).toEqual([])
  kept.forEach(close)
})
