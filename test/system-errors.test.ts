import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { asIxyError } from '../src/errors.ts'
import { LinuxError } from '../src/linux/libc.ts'
import { remedyForLastWords } from '../src/system-errors.ts'

/** What `action` throws, as the user gets it. */
function failureOf(action: () => unknown): ReturnType<typeof asIxyError> {
  try {
    action()
  } catch (error) {
    return asIxyError(error)
  }
  throw new Error('nothing was thrown')
}

function nodeError(code: string, syscall: string, path?: string): Error {
  return Object.assign(new Error(`${code}: some words, ${syscall}`), { errno: -1, code, syscall, path })
}

describe('errors of Node.js', () => {
  test('a file that is missing or of another kind is a matter of files, not a bug', () => {
    expect(failureOf(() => readFileSync('/nowhere/x'))).toMatchObject({ code: 'IXY_ERR_FILE', exitCode: 2 })
    expect(failureOf(() => readdirSync('/dev/null'))).toMatchObject({ code: 'IXY_ERR_FILE' })
  })

  test('what is not permitted says so', () => {
    expect(asIxyError(nodeError('EACCES', 'open', '/x'))).toMatchObject({ code: 'IXY_ERR_PERMISSION' })
    expect(failureOf(() => mkdirSync('/proc/x')).code).not.toBe('IXY_ERR_INTERNAL')
  })

  test.each([
    ['EMFILE', 'spawn node', /ulimit -n/],
    ['EMFILE', 'open', /ulimit -n/],
    ['ENFILE', 'socket', /fs\.file-max/],
    ['EAGAIN', 'spawn node', /ulimit -u.*pids\.max/],
    ['EAGAIN', 'fork', /ulimit -u.*pids\.max/],
    ['EFBIG', 'ftruncate', /ulimit -f/],
    ['ENOMEM', 'mmap', /ulimit -v.*memory\.max/],
    ['ENOSPC', 'mkdir', /make room/],
    ['ENOENT', 'uv_cwd', /working directory has been deleted.*cd \//],
  ])('%s of %s names the limit, whoever made the call', (code, syscall, words) => {
    for (const error of [asIxyError(nodeError(code, syscall)), new LinuxError(syscall, code)]) {
      expect(error).toMatchObject({ code: 'IXY_ERR_SYSTEM', message: expect.stringMatching(words) })
      expect(error.message).not.toMatch(/report it/)
    }
  })

  test('EAGAIN elsewhere is no limit on processes', () => {
    expect(new LinuxError('read', 'EAGAIN').message).not.toMatch(/ulimit/)
  })

  test('a worker thread that gets no thread, no file or no memory', () => {
    const init = Object.assign(new Error('Worker initialization failure: EMFILE'), {
      code: 'ERR_WORKER_INIT_FAILED',
    })
    expect(asIxyError(init)).toMatchObject({
      code: 'IXY_ERR_SYSTEM',
      message: expect.stringMatching(/ulimit -n/),
    })
    const thread = Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
    expect(asIxyError(thread).message).toMatch(/thread can't be started.*ulimit -u/)
  })

  test('and one that Node.js itself ended for its memory', async () => {
    const worker = new Worker('const a = []; while (true) a.push(new Array(1000).fill(a.length))', {
      eval: true,
      resourceLimits: { maxOldGenerationSizeMb: 4 },
    })
    const error: unknown = await new Promise((resolve) => worker.once('error', resolve))
    expect(asIxyError(error)).toMatchObject({
      code: 'IXY_ERR_SYSTEM',
      message: expect.stringMatching(/--max-old-space-size/),
    })
  })

  test('and one that failed in a worker thread', async () => {
    const worker = new Worker("require('node:fs').readFileSync('/nowhere/x')", { eval: true })
    const error: unknown = await new Promise((resolve) => worker.once('error', resolve))
    expect(asIxyError(error)).toMatchObject({ code: 'IXY_ERR_FILE' })
  })

  test('what has no such reason is a bug of ours', () => {
    expect(failureOf(() => JSON.parse('{'))).toMatchObject({ code: 'IXY_ERR_INTERNAL' })
  })
})

test("a process's last words tell of limits", () => {
  const { stderr } = spawnSync(
    process.execPath,
    ['--max-old-space-size=8', '-e', 'const a = []; while (true) a.push(new Array(1000).fill(a.length))'],
    { encoding: 'utf8' },
  )
  expect(remedyForLastWords(stderr)?.fix).toMatch(/--max-old-space-size/)
  expect(
    remedyForLastWords('Assertion failed: (0) == (uv_thread_create(t.get(), start_thread, this))')?.reason,
  ).toMatch(/ulimit -u/)
  expect(remedyForLastWords('SyntaxError: Unexpected token')).toBeNull()
})
