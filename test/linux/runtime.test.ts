import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { once } from 'node:events'
import { abandonedBy, takeLock, type LockFile } from '../../src/linux/lock-file.ts'
import {
  runtimeDirectory,
  runtimeDirectoryOrNull,
  takePrivateDirectory,
} from '../../src/linux/runtime-dir.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ixy-runtime-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

const uid = process.getuid?.() ?? 0

function held(lock: LockFile | number): LockFile {
  if (typeof lock === 'number') throw new Error(`held by ${lock}`)
  return lock
}

describe('the runtime directory', () => {
  test('is created for its owner only', () => {
    if (uid === 0) {
      expect(runtimeDirectory()).toBe('/run/ixy-ts')
      expect(statSync('/run/ixy-ts').mode & 0o777).toBe(0o700)
      return
    }
    const path = runtimeDirectory(uid, { XDG_RUNTIME_DIR: directory })
    expect(path).toBe(join(directory, 'ixy-ts'))
    expect(statSync(path).mode & 0o777).toBe(0o700)
  })

  test('of another user, open to all or behind a link is refused', () => {
    const other = 54321
    const path = `/tmp/ixy-ts-${other}`
    rmSync(path, { recursive: true, force: true })
    try {
      // Created by us, not by user 54321.
      expect(() => runtimeDirectory(other, {})).toThrow(
        expect.objectContaining({ code: 'IXY_ERR_PERMISSION' }),
      )
      rmSync(path, { recursive: true })
      symlinkSync(directory, path)
      expect(() => runtimeDirectory(other, {})).toThrow(/not a directory that only user 54321/)
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  })

  test('that can not be created is an error with the way out', () => {
    writeFileSync(join(directory, 'file'), '')
    expect(() => runtimeDirectory(4711, { XDG_RUNTIME_DIR: join(directory, 'file') })).toThrow(
      /IXY_TS_RUNTIME_DIR/,
    )
  })

  test.each(['/proc/x', '/proc/x/y', '/sys/kernel/x'])(
    'below %s it is refused, without end of tries',
    (path) => {
      expect(() => runtimeDirectory(uid, { IXY_TS_RUNTIME_DIR: path })).toThrow(
        expect.objectContaining({ code: 'IXY_ERR_SYSTEM', message: expect.stringContaining(path) }),
      )
    },
  )

  test('is made with all that is missing above it', () => {
    const path = join(directory, 'a', 'b', 'c')
    expect(runtimeDirectory(uid, { IXY_TS_RUNTIME_DIR: path })).toBe(path)
    expect(statSync(path).mode & 0o777).toBe(0o700)
  })
})

describe('private directories', () => {
  test('are in the runtime directory, for their owner only, and removed with what is in them', () => {
    const taken = takePrivateDirectory(directory, 2)
    expect(dirname(taken.path)).toBe(directory)
    expect(statSync(taken.path).mode & 0o777).toBe(0o700)
    writeFileSync(join(taken.path, '0.sock'), '')
    taken.release()
    taken.release()
    expect(readdirSync(directory)).toEqual([])
  })

  test('of killed processes are removed by the next, those of living ones and other files are not', async () => {
    const mine = takePrivateDirectory(directory, 2)
    const [alive, dead] = ['virtual-aLive1', 'virtual-dead22'].map((name) => join(directory, name))
    for (const path of [alive, dead]) mkdirSync(path)
    writeFileSync(join(dead, '0.sock'), '')
    writeFileSync(join(directory, 'virtual-abcdef.txt'), '')
    // As another process, which the lock outlives by nothing.
    const holder = spawn('flock', ['-F', alive, 'sh', '-c', 'echo locked; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    takePrivateDirectory(directory, 2).release()
    expect(readdirSync(directory).sort()).toEqual(
      [basename(mine.path), basename(alive), 'virtual-abcdef.txt'].sort(),
    )
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const deadline = performance.now() + 5000
    while (existsSync(alive) && performance.now() < deadline) takePrivateDirectory(directory, 2).release()
    expect(existsSync(alive)).toBe(false)
    mine.release()
  })

  test('are among the temporary files where there is no runtime directory, or no room for sockets in its path', () => {
    const long = join(directory, 'x'.repeat(90))
    mkdirSync(long)
    for (const runtime of [runtimeDirectoryOrNullOf('/proc/x'), '/proc', long]) {
      const taken = takePrivateDirectory(runtime, 2)
      expect(dirname(taken.path)).toBe(tmpdir())
      taken.release()
      expect(existsSync(taken.path)).toBe(false)
    }
  })

  function runtimeDirectoryOrNullOf(path: string): string | null {
    const previous = process.env['IXY_TS_RUNTIME_DIR']
    process.env['IXY_TS_RUNTIME_DIR'] = path
    try {
      return runtimeDirectoryOrNull()
    } finally {
      if (previous === undefined) delete process.env['IXY_TS_RUNTIME_DIR']
      else process.env['IXY_TS_RUNTIME_DIR'] = previous
    }
  }
})

describe('locks', () => {
  test('have one owner, who is named to the others', () => {
    const lock = held(takeLock(directory, 'a'))
    expect(takeLock(directory, 'a')).toBe(process.pid)
    const other = held(takeLock(directory, 'b'))
    lock.release()
    lock.release()
    expect(existsSync(join(directory, 'a.lock'))).toBe(false)
    held(takeLock(directory, 'a')).release()
    other.release()
  })

  test('of a killed process are free, and tell who it was', async () => {
    const path = join(directory, 'a.lock')
    // flock(1) holds the lock until it is killed, as an ixy-ts would.
    const child = spawn('flock', ['-F', path, 'sh', '-c', 'echo locked; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    writeFileSync(path, `${child.pid}\n`)
    expect(takeLock(directory, 'a')).toBe(child.pid)
    expect(abandonedBy(directory).size).toBe(0)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const deadline = performance.now() + 5000
    while (abandonedBy(directory).size === 0 && performance.now() < deadline);
    expect([...abandonedBy(directory)]).toEqual([child.pid])
    const lock = held(takeLock(directory, 'a'))
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
    expect(abandonedBy(directory).size).toBe(0)
    lock.release()
  })

  test('pass on what a killed owner noted, until somebody lets go properly', () => {
    const path = join(directory, 'a.lock')
    writeFileSync(path, '4711 where it belongs\n')
    const lock = held(takeLock(directory, 'a'))
    expect(lock.inherited).toBe('where it belongs')
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid} where it belongs\n`)
    lock.note('elsewhere')
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid} elsewhere\n`)
    expect(takeLock(directory, 'a')).toBe(process.pid)
    lock.putBack()
    expect(readFileSync(path, 'utf8')).toBe('4711 where it belongs\n')
    expect([...abandonedBy(directory)]).toEqual([4711])
    held(takeLock(directory, 'a')).release()
    const next = held(takeLock(directory, 'a'))
    expect(next.inherited).toBe('')
    next.release()
  })

  test('in a directory of somebody else are an error', () => {
    if (uid === 0) return
    chmodSync(directory, 0o500)
    expect(() => takeLock(directory, 'a')).toThrow(expect.objectContaining({ code: 'IXY_ERR_PERMISSION' }))
  })
})
