import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants } from 'node:buffer'
import { IxyError } from '../../src/errors.ts'
import { allowedCpus, pinThread } from '../../src/linux/affinity.ts'
import * as file from '../../src/linux/file.ts'
import { isErrno, LinuxError } from '../../src/linux/libc.ts'
import { lockedMemoryLimit } from '../../src/linux/limits.ts'
import { mlock, mmap, munlock, munmap, PROT_READ, viewOf } from '../../src/linux/mapping.ts'
import { pollOne, PollSet, POLLIN, POLLOUT } from '../../src/linux/poll.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ixy-libc-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

function caught(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('errors', () => {
  test('carry the name of the errno, the call and what it was about', () => {
    const error = caught(() => file.open('/nowhere/at all', file.O_RDONLY))
    expect(error).toBeInstanceOf(LinuxError)
    expect(error).toMatchObject({ errno: 'ENOENT', syscall: 'open', code: 'IXY_ERR_SYSTEM' })
    expect(String(error)).toContain('/nowhere/at all: ENOENT, no such file or directory')
    expect(isErrno(error, 'EACCES', 'ENOENT')).toBe(true)
    expect(isErrno(error, 'EACCES')).toBe(false)
  })

  test('of missing rights have the exit code of missing rights', () => {
    expect(new LinuxError('open', 'EACCES').code).toBe('IXY_ERR_PERMISSION')
    expect(new LinuxError('open', 'EPERM').exitCode).toBe(4)
  })

  test('on a closed descriptor', () => {
    expect(caught(() => file.read(-1, new Uint8Array(1)))).toMatchObject({ errno: 'EBADF', syscall: 'read' })
    expect(caught(() => file.ioctlInt(-1, 'TEST', 1, 0))).toMatchObject({ syscall: 'ioctl TEST' })
  })
})

describe('files', () => {
  test('read, write, pread and pwrite move bytes of views with an offset', () => {
    const path = join(directory, 'bytes')
    writeFileSync(path, 'abcdefgh')
    const fd = file.open(path, file.O_RDWR)
    const bytes = new Uint8Array(8)
    expect(file.pread(fd, bytes.subarray(2, 5), 4)).toBe(3)
    expect(Buffer.from(bytes).toString()).toBe('\0\0efg\0\0\0')
    expect(file.pwrite(fd, Buffer.from('XY'), 6n)).toBe(2)
    expect(file.read(fd, bytes)).toBe(8)
    expect(Buffer.from(bytes).toString()).toBe('abcdefXY')
    expect(file.read(fd, bytes)).toBe(0)
    file.close(fd)
  })

  test('an eventfd counts, wakes poll, and is empty after draining', () => {
    const fd = file.createEventFd()
    expect(pollOne(fd, POLLIN, 0)).toBe(0)
    expect(file.drainEventFd(fd)).toBe(false)
    file.signalEventFd(fd)
    file.signalEventFd(fd)
    expect(pollOne(fd, POLLIN | POLLOUT, 0)).toBe(POLLIN | POLLOUT)
    expect(file.drainEventFd(fd)).toBe(true)
    expect(pollOne(fd, POLLIN, 0)).toBe(0)
    expect(file.tryRead(fd, new Uint8Array(8), 8)).toBe(-1)
    file.close(fd)
  })
})

describe('poll', () => {
  test('tells which descriptor of a set is ready', () => {
    const a = file.createEventFd()
    const b = file.createEventFd()
    const set = new PollSet([a, b])
    expect(set.wait(0)).toBe(0)
    file.signalEventFd(b)
    expect(set.wait(1000)).toBe(1)
    expect([set.events(0), set.events(1)]).toEqual([0, POLLIN])
    file.close(a)
    file.close(b)
  })

  test('waits as long as asked when nothing happens', () => {
    const fd = file.createEventFd()
    const start = performance.now()
    expect(pollOne(fd, POLLIN, 30)).toBe(0)
    expect(performance.now() - start).toBeGreaterThanOrEqual(29)
    file.close(fd)
  })
})

describe('memory', () => {
  test('two mappings of a memfd are the same memory', () => {
    const fd = file.createMemfd('test', 8192)
    const a = mmap(8192, { fd })
    const b = mmap(4096, { fd, offset: 4096 })
    const first = new Uint8Array(viewOf(a, 8192))
    const second = new Uint8Array(viewOf(b, 4096))
    first[4096 + 7] = 42
    expect(second[7]).toBe(42)
    second[8] = 43
    expect(first[4096 + 8]).toBe(43)
    munmap(a, 8192)
    munmap(b, 4096)
    file.close(fd)
  })

  test('a read-only mapping shows what the file holds', () => {
    const fd = file.createMemfd('test', 4096)
    file.pwrite(fd, Buffer.from('hello'), 0)
    const address = mmap(4096, { fd, protection: PROT_READ })
    expect(Buffer.from(viewOf(address, 5)).toString()).toBe('hello')
    munmap(address, 4096)
    file.close(fd)
  })

  test('mlock and munlock take what was mapped and refuse what was not', () => {
    const address = mmap(4096)
    mlock(address, 4096)
    munlock(address, 4096)
    munmap(address, 4096)
    expect(caught(() => mlock(address, 4096))).toMatchObject({ errno: 'ENOMEM' })
  })

  test('a failed mmap throws', () => {
    expect(caught(() => mmap(0))).toMatchObject({ errno: 'EINVAL', syscall: 'mmap' })
    expect(caught(() => mmap(4096, { fd: 9999 }))).toMatchObject({ errno: 'EBADF' })
  })

  test.each([
    ['null', 0n, 4096],
    ['MAP_FAILED', 0xffff_ffff_ffff_ffffn, 4096],
    ['no bytes', 4096n, 0],
    ['a negative size', 4096n, -1],
    ['a fraction', 4096n, 1.5],
    ['more than Node.js can view', 4096n, constants.MAX_LENGTH + 1],
  ])('a view of %s throws and the process lives', (_name, address, bytes) => {
    expect(() => viewOf(address, bytes)).toThrow(IxyError)
  })
})

describe('the calling thread', () => {
  test('can be pinned to one of its CPUs and freed again', () => {
    const all = allowedCpus()
    expect(all.length).toBeGreaterThan(0)
    const last = all[all.length - 1]
    pinThread([last])
    expect(allowedCpus()).toEqual([last])
    pinThread(all)
    expect(allowedCpus()).toEqual(all)
  })

  test('is not pinned to a CPU that does not exist', () => {
    expect(caught(() => pinThread([1023]))).toMatchObject({ errno: 'EINVAL' })
    expect(() => pinThread([-1])).toThrow(RangeError)
    expect(() => pinThread([1024])).toThrow(RangeError)
  })

  test('knows how much it may lock', () => {
    expect(lockedMemoryLimit()).toBeGreaterThan(0)
  })
})
