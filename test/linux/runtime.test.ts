import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { abandonedBy, takeLock, type LockFile } from '../../src/linux/lock-file.ts'
import { runtimeDirectory } from '../../src/linux/runtime-dir.ts'

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
      /XDG_RUNTIME_DIR/,
    )
  })
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
