import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { close, createMemfd, ftruncate, O_RDWR, open, shrinkingOf, tryLock } from '../../src/linux/file.ts'
import { findHugepageMounts, hugepageCounts } from '../../src/linux/hugepage-supply.ts'
import {
  allocateHugepages,
  allocateShared,
  releaseBlock,
  removeStaleHugepageFiles,
} from '../../src/linux/hugepages.ts'
import { takeLock } from '../../src/linux/lock-file.ts'
import { mmap, munmap, viewOf } from '../../src/linux/mapping.ts'
import { physicalAddresses } from '../../src/linux/pagemap.ts'
import { describeIf, firstLine, missing } from '../skip.ts'

const MIB = 1024 * 1024
let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ixy huge-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

describe('finding huge pages', () => {
  test('mounts of several page sizes, smallest first, names with spaces', () => {
    const mounts = join(directory, 'mounts')
    writeFileSync(
      mounts,
      'proc /proc proc rw 0 0\n' +
        'hugetlbfs /mnt/huge1G hugetlbfs rw,relatime,pagesize=1024M 0 0\n' +
        'none /mnt/huge\\040pages hugetlbfs rw,pagesize=2M,size=1G 0 0\n' +
        'none /dev/hugepages hugetlbfs rw,relatime,mode=755,pagesize=2048K 0 0\n' +
        'hugetlbfs /elsewhere tmpfs rw 0 0\n',
    )
    expect(findHugepageMounts(mounts)).toEqual([
      { path: '/mnt/huge pages', pageBytes: 2 * MIB },
      { path: '/dev/hugepages', pageBytes: 2 * MIB },
      { path: '/mnt/huge1G', pageBytes: 1024 * MIB },
    ])
  })

  test('counts are read from sysfs', () => {
    const sizes = join(directory, 'kernel/mm/hugepages')
    mkdirSync(join(sizes, 'hugepages-2048kB'), { recursive: true })
    writeFileSync(join(sizes, 'hugepages-2048kB/nr_hugepages'), '64\n')
    writeFileSync(join(sizes, 'hugepages-2048kB/free_hugepages'), '60\n')
    expect(hugepageCounts(directory)).toEqual([{ pageBytes: 2 * MIB, total: 64, free: 60 }])
    expect(hugepageCounts(join(directory, 'nowhere'))).toEqual([])
  })

  test('without a mount the error names the script', () => {
    expect(() => allocateHugepages(MIB, undefined, [])).toThrow(
      expect.objectContaining({
        code: 'IXY_ERR_NO_HUGEPAGES',
        commands: [expect.stringMatching(/^sudo \/.*\/setup-hugetlbfs\.sh$/)] as string[],
      }),
    )
  })
})

describe('shared memory', () => {
  test('is seen by whoever maps its descriptor', () => {
    const block = allocateShared(100_000)
    expect(block.bytes % block.pageBytes).toBe(0)
    expect(block.bytes).toBeGreaterThanOrEqual(100_000)
    const mine = new Uint8Array(viewOf(block.address, block.bytes))
    expect(mine.every((byte) => byte === 0)).toBe(true)
    const address = mmap(block.bytes, { fd: block.fd })
    const theirs = new Uint8Array(viewOf(address, block.bytes))
    theirs[block.bytes - 1] = 7
    expect(mine[block.bytes - 1]).toBe(7)
    munmap(address, block.bytes)
    releaseBlock(block)
  })

  test('can not be taken away by whoever is given it', () => {
    const block = allocateShared(100_000)
    expect(() => ftruncate(block.fd, 0)).toThrow(/EPERM/)
    expect(shrinkingOf(block.fd)).toBe('never')
    releaseBlock(block)
  })

  test('comes in ordinary pages when there are no huge ones', () => {
    // More than there are.
    const huge = hugepageCounts().reduce((sum, size) => sum + size.free * size.pageBytes, 0)
    if (huge > 256 * MIB) return
    const block = allocateShared(huge + 1)
    expect(block.pageBytes).toBe(4096)
    releaseBlock(block)
  })
})

function mountObstacle(): string | null {
  const trial = mkdtempSync(join(tmpdir(), 'ixy-mount-'))
  try {
    execFileSync('mount', ['-t', 'hugetlbfs', '-o', 'pagesize=2M', 'none', trial], { stdio: 'pipe' })
    execFileSync('umount', [trial])
    return null
  } catch (error) {
    return `hugetlbfs can't be mounted: ${firstLine(error)}`
  } finally {
    rmSync(trial, { recursive: true })
  }
}

describeIf(missing({ root: true, programs: ['mount'], hugePages: 8 }) ?? mountObstacle(), 'hugetlbfs', () => {
  let mounted: string
  let locks: string
  beforeEach(() => {
    mounted = mkdtempSync(join(directory, 'mount '))
    locks = mkdtempSync(join(directory, 'locks-'))
    execFileSync('mount', ['-t', 'hugetlbfs', '-o', 'pagesize=2M', 'none', mounted])
  })
  afterEach(() => {
    execFileSync('umount', [mounted])
  })

  function here() {
    const mounts = findHugepageMounts().filter((mount) => mount.path === mounted)
    expect(mounts).toHaveLength(1)
    return mounts
  }

  test('an allocation is a file of whole pages with physical addresses, gone after release', () => {
    const block = allocateHugepages(3 * MIB, undefined, here())
    expect(block).toMatchObject({ bytes: 4 * MIB, pageBytes: 2 * MIB })
    expect(readdirSync(mounted)).toEqual([block.path.slice(mounted.length + 1)])
    expect(block.path).toMatch(new RegExp(`/ixy-ts-${process.pid}-\\d+$`))
    const frames = physicalAddresses(block.address, block.bytes, block.pageBytes)
    expect(frames).toHaveLength(2)
    expect(new Set(frames).size).toBe(2)
    for (const frame of frames) {
      expect(frame).toBeGreaterThan(0)
      expect(frame % (2 * MIB)).toBe(0)
    }
    // The same memory elsewhere has the same physical addresses, and an offset in the page carries over.
    const again = mmap(4 * MIB, { fd: block.fd, flags: 0x8001 })
    expect(physicalAddresses(again, 4 * MIB, 2 * MIB)).toEqual(frames)
    expect(physicalAddresses(again + 4104n, 1, 2 * MIB)).toEqual([frames[0] + 4104])
    munmap(again, 4 * MIB)
    releaseBlock(block)
    expect(readdirSync(mounted)).toEqual([])
  })

  test('asking for more than there is says how many are needed and free', () => {
    expect(() => allocateHugepages(2 * MIB * 100_000, undefined, here())).toThrow(
      /100000 huge pages of 2048 KiB are needed, \d+ are free/,
    )
    expect(readdirSync(mounted)).toEqual([])
  })

  test('a page size without a mount is an error', () => {
    expect(() => allocateHugepages(MIB, 1024 * MIB, here())).toThrow(/hugetlbfs|huge pages/)
  })

  test('a killed process leaves its file, and the next one removes it', () => {
    const live = allocateHugepages(MIB, undefined, here())
    const stale = join(mounted, 'ixy-ts-1-0')
    const foreign = join(mounted, 'rtemap_0')
    writeFileSync(stale, '')
    writeFileSync(foreign, '')
    expect(removeStaleHugepageFiles(here(), locks)).toEqual([stale])
    expect(existsSync(live.path)).toBe(true)
    expect(existsSync(foreign)).toBe(true)
    releaseBlock(live)
    rmSync(foreign)
  })

  test('files of a killed process stay while another device of it has not been taken again', () => {
    const stale = join(mounted, `ixy-ts-77-0`)
    writeFileSync(stale, '')
    writeFileSync(join(locks, '0000:03:00.1.lock'), '77\n')
    expect(removeStaleHugepageFiles(here(), locks)).toEqual([])
    const lock = takeLock(locks, '0000:03:00.1')
    if (typeof lock === 'number') throw new Error('the lock is free')
    expect(removeStaleHugepageFiles(here(), locks)).toEqual([stale])
    lock.release()
  })
})

describe('physical addresses', () => {
  test('of memory that is not there are an error', () => {
    const fd = createMemfd('absent', 4096)
    const address = mmap(4096, { fd })
    expect(() => physicalAddresses(address, 4096, 4096)).toThrow(/is not in memory/)
    munmap(address, 4096)
    close(fd)
  })
})

test('a lock belongs to the open file, not to the process', () => {
  const path = join(directory, 'lock')
  writeFileSync(path, '')
  const a = open(path, O_RDWR)
  const b = open(path, O_RDWR)
  expect(tryLock(a)).toBe(true)
  expect(tryLock(b)).toBe(false)
  close(a)
  expect(tryLock(b)).toBe(true)
  close(b)
})
