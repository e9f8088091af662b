/** What several ixy-ts on one machine know of each other, and runs where they can't know anything. */
import { mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { LAUNCHER, Tool, describeIf, missing, objects, sh, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()
const SMALL = ['pktgen', 'virtual:sink', '-n', '5', '--json', '--quiet', '--log-level', 'warn']

function runtime(name: string): {
  readonly path: string
  readonly env: { readonly IXY_TS_RUNTIME_DIR: string }
} {
  const full = path.join(directory, name)
  return { path: full, env: { IXY_TS_RUNTIME_DIR: full } }
}

describe('a runtime directory that can not be', () => {
  test.each(['/proc/x', '/sys/x', '/dev/null/x'])('%s is a warning for a run', async (where) => {
    const { code, stdout, stderr } = await new Tool(SMALL, { env: { IXY_TS_RUNTIME_DIR: where } }).end()
    expect(code).toBe(0)
    expect(objects(stdout, 'end')).toMatchObject([{ devices: [{ tx: { packets: 5 } }], error: null }])
    expect(objects(stderr)).toEqual([
      expect.objectContaining({ level: 40, msg: expect.stringContaining(`the runtime directory ${where}`) }),
    ])
  })

  test.each(['/proc/x', '/sys/x', '/dev/null/x'])('%s is an error that names it for stats', async (where) => {
    const { code, stdout, stderr } = await new Tool(['stats'], { env: { IXY_TS_RUNTIME_DIR: where } }).end()
    expect(stderr).toMatch(/^ixy-ts: .*set IXY_TS_RUNTIME_DIR to a directory of yours \[IXY_ERR_SYSTEM\]\n$/)
    expect(stderr).toContain(where)
    expect(stdout).toBe('')
    expect(code).toBe(4)
  })

  describeIf(missing({ root: true, programs: ['unshare', 'mount'] }), 'in a mount namespace', () => {
    const inside = (script: string): string =>
      sh('unshare', '-m', 'bash', '-c', script, process.execPath, LAUNCHER, ...SMALL)

    test('removed under a bind mount', () => {
      const [a, b] = ['removed', 'mounted'].map((name) => path.join(directory, name))
      for (const folder of [a, b]) mkdirSync(folder)
      const script = `mount --bind ${a} ${b} && rmdir ${a} && IXY_TS_RUNTIME_DIR=${b}/run "$0" "$@"`
      expect(objects(inside(script), 'end')).toMatchObject([{ error: null }])
    })

    test.each([2, 3, 4])('on a file system with room for %i files: the sockets go elsewhere', (inodes) => {
      const full = path.join(directory, `full${inodes}`)
      mkdirSync(full)
      const script = `mount -t tmpfs -o nr_inodes=${inodes},mode=700 none ${full} && touch ${full}/file &&
        IXY_TS_RUNTIME_DIR=${full} "$0" "$@"`
      expect(objects(inside(script), 'end')).toMatchObject([{ error: null }])
    })
  })
})

describeIf(missing({ root: true, programs: ['unshare'] }), 'another pid namespace', () => {
  test('leaves the sockets of runs outside alone', async () => {
    const { path: where, env } = runtime('shared')
    const run = ['forward', 'virtual:gen,rate=1kpps', 'virtual:sink', '--mode', 'interrupt', '-i', '0.1']
    const outside = new Tool(run, { env })
    await outside.until(/TX:/)
    const sockets = readdirSync(where)
    expect(sockets).toHaveLength(1)
    const container = ['env', `IXY_TS_RUNTIME_DIR=${where}`, 'unshare', '-pf', '--mount-proc']
    const [program, ...args] = [...container, process.execPath, LAUNCHER, ...SMALL]
    expect(objects(sh(program, ...args), 'end')).toMatchObject([{ error: null }])
    expect(readdirSync(where)).toEqual(sockets)
    const stats = await new Tool(['stats', '--json', '-d', '0.2'], { env }).end()
    expect(objects(stats.stdout, 'end')).toMatchObject([
      { devices: [{ pid: outside.pid }, { pid: outside.pid }] },
    ])
    expect((await outside.kill()).code).toBe(0)
  })
})

test('folders of runs that were killed in start-up are removed by the next one', async () => {
  const { path: where, env } = runtime('killed')
  const killed = new Tool(['pktgen', 'virtual:sink', '--rate', '1kpps'], { env })
  const deadline = performance.now() + 20_000
  const folders = (): string[] => readSafely(where).filter((name) => name.startsWith('virtual-'))
  while (folders().length === 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 1))
  expect(folders()).toHaveLength(1)
  await killed.kill('SIGKILL')
  // Its child may remove the folder itself; one that it can't remove is what this is about.
  mkdirSync(path.join(where, 'virtual-ABCdef'))
  mkdirSync(path.join(where, 'virtual-ABCdef', '0.sock'))
  expect((await new Tool(SMALL, { env }).end()).code).toBe(0)
  expect(readdirSync(where)).toEqual([])
})

function readSafely(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
