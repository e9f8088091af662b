/** What `npm pack` makes: what is in it, and that it works where it is unpacked, below a folder that it can't write, without root. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { REFLECT, writeApp } from '../e2e/apps.ts'
import { describeIf, missing, sh, temporaryDirectory } from '../e2e/support.ts'
import { ORDINARY_USER, PACKING, ROOT, nodeObstacle, unpackPackage } from '../e2e/unpacked.ts'

describeIf(missing({ programs: PACKING }), 'the package', () => {
  const directory = temporaryDirectory()
  const unpacked = path.join(directory, 'package')
  const home = path.join(directory, 'home')

  beforeAll(() => {
    for (const script of ['types.mjs', 'packaging/manual.mjs']) sh(process.execPath, path.join(ROOT, script))
    unpackPackage(directory)
    mkdirSync(home)
    chmodSync(home, 0o777)
  }, 120_000)

  test('has the tool, its documentation and nothing else', () => {
    const files = readdirSync(unpacked, { recursive: true, encoding: 'utf8' })
      .filter((name) => !name.startsWith('node_modules') && statSync(path.join(unpacked, name)).isFile())
      .filter((name) => !name.startsWith('docs/'))
    expect(files.sort()).toEqual(
      expect.arrayContaining([
        ...['LICENSE', 'README.md', 'bin/ixy-ts', 'bin/node-version.cjs', 'dist/LICENSES.txt'],
        ...['dist/cli.cjs', 'dist/worker.cjs', 'dist/vnic-child.cjs', 'package.json', 'setup-hugetlbfs.sh'],
        ...['dist/index.cjs', 'dist/index.mjs', 'dist/types/index.d.ts', 'dist/man/ixy-ts-forward.1'],
      ]),
    )
    for (const name of files)
      expect(name).toMatch(
        /^(bin|dist)\/[\w.-]+$|^[\w.-]+$|^dist\/types\/[\w./-]+\.d\.ts$|^dist\/man\/[\w-]+\.1$/,
      )
    expect(files.filter((name) => /\.map$|\.test\.|tsconfig/.test(name))).toEqual([])
    // npm links those that package.json names, and says nothing of one that isn't there.
    const { man } = JSON.parse(readFileSync(path.join(unpacked, 'package.json'), 'utf8')) as { man: string[] }
    expect(files.filter((name) => name.startsWith('dist/man/'))).toEqual([...man].sort())
  })

  test('takes 20 MB at most, with koffi', () => {
    const names = readdirSync(unpacked, { recursive: true, encoding: 'utf8' })
    // By whole blocks, as the disk is taken.
    const bytes = names.map((name) => lstatSync(path.join(unpacked, name)).blocks * 512)
    expect(bytes.reduce((all, some) => all + some, 0)).toBeLessThan(20e6)
  })

  describe('the library, where somebody has installed the package', () => {
    const project = path.join(directory, 'project')
    beforeAll(() => {
      mkdirSync(path.join(project, 'node_modules'), { recursive: true })
      symlinkSync(unpacked, path.join(project, 'node_modules', 'ixy-ts'))
      chmodSync(project, 0o777)
      writeApp(project, 'reflect.mjs', REFLECT)
    })
    const script = (name: string, text: string) => {
      writeFileSync(path.join(project, name), text)
      const result = spawnSync(process.execPath, [path.join(project, name)], {
        ...(nodeObstacle() === null ? ORDINARY_USER : {}),
        cwd: project,
        encoding: 'utf8',
        timeout: 60_000,
        env: { PATH: process.env['PATH'], HOME: home, IXY_TS_RUNTIME_DIR: path.join(home, 'run') },
      })
      expect(result).toMatchObject({ status: 0, stderr: '' })
      return JSON.parse(result.stdout) as Record<string, unknown>
    }

    /** What both kinds of modules do with it. */
    const USE = `
async function main() {
  const intervals = []
  const result = await run(app, {
    devices: ['virtual:gen,count=3000'],
    appOptions: { limit: 0 },
    observer: { interval: (event) => intervals.push(event) },
  })
  const wrong = await run(app, { devices: ['virtual:gen', 'virtual:gen'] }).catch((error) => error)
  const settings = await run(app, { devices: ['virtual:gen'], ringSize: 100 }).catch((error) => error)
  const { counters, loss, reason, devices } = result
  console.log(JSON.stringify({
    reason, lost: loss.lost, of: loss.of, sent: devices[0].tx.packets, reflected: counters.reflected,
    worker: result.result[0].worker,
    wrong: [wrong instanceof IxyError, wrong.code, settings.code],
  }))
}
main()
`
    const REFLECTED = {
      reason: 'done',
      ...{ lost: 0, of: 3000, sent: 3000, reflected: 3000, worker: 0 },
      wrong: [true, 'IXY_ERR_USAGE', 'IXY_ERR_USAGE'],
    }

    test('run() runs an app: ES modules', () => {
      const head = `import { IxyError, run } from 'ixy-ts'\nconst app = new URL('./reflect.mjs', import.meta.url)\n`
      expect(script('esm.mjs', head + USE)).toEqual(REFLECTED)
    })

    test('run() runs an app: CommonJS', () => {
      const head = `const { IxyError, run } = require('ixy-ts')\nconst app = __dirname + '/reflect.mjs'\n`
      expect(script('common.cjs', head + USE)).toEqual(REFLECTED)
    })

    test.each(['wasm', 'ts'])('open() gives rings in one’s own thread: --backend %s', (backend) => {
      const text = `import { open } from 'ixy-ts'
const { ports: [port], memory, pools, devices, statistics, close } =
  await open({ devices: ['virtual:loop'], pools: 1, backend: '${backend}' })
const batch = memory.batch(32)
let sent = 0
let received = 0
const end = Date.now() + 20_000
while (received < 1000 && Date.now() < end) {
  const count = memory.allocate(pools[0], batch, Math.min(32, 1000 - sent, port.tx.room()))
  for (let i = 0; i < count; i++) memory.size[batch[i]] = 60
  sent += port.tx.transmit(batch, 0, count)
  const taken = port.rx.receive(batch, 32)
  memory.free(batch, 0, taken)
  received += taken
}
const { rxPackets, txPackets } = statistics(0)
await close()
await close()
console.log(JSON.stringify({ sent, received, rxPackets, txPackets, model: devices[0].model }))
`
      expect(script(`open-${backend}.mjs`, text)).toEqual({
        ...{ sent: 1000, received: 1000, rxPackets: 1000, txPackets: 1000 },
        model: expect.stringContaining('82599') as unknown,
      })
    })

    test('its types fit an app, and a mistake in one is found', () => {
      for (const name of ['@types', 'undici-types'])
        symlinkSync(path.join(ROOT, 'node_modules', name), path.join(project, 'node_modules', name))
      const app = (
        body: string,
      ) => `import { type App, EthernetFrame, IxyError, internetChecksum, run } from 'ixy-ts'
const app: App<{ limit: number }> = {
  name: 'typed',
  ports: { min: 1, max: 1 },
  options: (argv) => ({ limit: argv.length }),
  make({ ports: [port], memory, batchSize, counters }, { limit }) {
    const batch = memory.batch(batchSize)
    return {
      step() {
        counters[0] += limit
        return port.tx.transmit(batch, 0, port.rx.receive(batch, batchSize))
      },
    }
  },
}
export default app
export const sum: number = internetChecksum(new Uint8Array(20), 0, 20)
export const view = EthernetFrame
export async function start(): Promise<number> {
  try {
    return (await run('./typed.ts', { devices: ['virtual:gen'], duration: 1 })).elapsed
  } catch (error) {
    ${body}
  }
}
`
      const good = app('return error instanceof IxyError ? error.exitCode : 1')
      const files = {
        'typed.mts': good,
        'typed.cts': good,
        'wrong.mts': app('return error instanceof IxyError ? error.message : 1'),
      }
      for (const [name, text] of Object.entries(files)) writeFileSync(path.join(project, name), text)
      const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc')
      const options = [
        '--noEmit',
        '--strict',
        '--skipDefaultLibCheck',
        '--target',
        'es2023',
        '--types',
        'node',
        '--module',
        'nodenext',
      ]
      const { stdout } = spawnSync(process.execPath, [compiler, ...options, ...Object.keys(files)], {
        cwd: project,
        encoding: 'utf8',
      })
      expect(stdout).toBe(
        "wrong.mts(23,40): error TS2322: Type 'string' is not assignable to type 'number'.\n",
      )
    }, 180_000)
  })

  describeIf(nodeObstacle(), 'as an ordinary user', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [path.join(unpacked, 'bin/ixy-ts'), ...args], {
        ...ORDINARY_USER,
        cwd: home,
        encoding: 'utf8',
        timeout: 60_000,
        env: { PATH: process.env['PATH'], HOME: home, IXY_TS_RUNTIME_DIR: path.join(home, 'run') },
      })

    test('two virtual NICs work', () => {
      const { status, stderr } = run(
        'forward',
        'virtual:gen,count=1000',
        'virtual:sink',
        '--expect-loss',
        '0',
      )
      expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining('IXY_ERR') })
    })

    test('a TAP is refused with what to do', () => {
      const { status, stderr } = run('forward', 'virtual:tap=ixnobody', 'virtual:sink')
      expect(stderr).toMatch(/^ixy-ts: .*\[IXY_ERR_PERMISSION\]\n$/)
      expect(status).toBe(4)
    })
  })
})

describeIf(
  missing({ programs: ['make'] }),
  'make says what a fresh machine lacks before it installs anything',
  () => {
    const directory = temporaryDirectory()
    for (const file of ['Makefile', 'package.json', 'package-lock.json', 'bin']) {
      cpSync(path.join(ROOT, file), path.join(directory, file), { recursive: true })
    }
    const install = (...variables: string[]) => {
      const result = spawnSync('make', ['-C', directory, 'install', ...variables], { encoding: 'utf8' })
      expect(existsSync(path.join(directory, 'node_modules'))).toBe(false)
      expect(result.stdout).not.toContain('installing')
      return result.stderr
    }

    test.each([
      ['npm', ['NPM=no-such-npm', `NODE=${process.execPath}`], /^npm is missing; .*: sudo apt install npm\n/],
      ['Node.js', ['NODE=no-such-node'], /^Node\.js is missing: see README\.md, "What you need"\n/],
    ])('%s', (_, variables, message) => {
      expect(install(...variables)).toMatch(message)
    })

    test('a newer Node.js', () => {
      const file = path.join(directory, 'package.json')
      const text = readFileSync(file, 'utf8')
      writeFileSync(file, text.replace('"node": ">=20.19"', '"node": ">=999.1"'))
      const tooOld = /Node\.js [\d.]+ is too old: 999\.1 or newer is needed; sudo npm install -g node@24/
      expect(install(`NODE=${process.execPath}`)).toMatch(tooOld)
      // The launcher says the same.
      const { status, stderr } = spawnSync(process.execPath, [path.join(directory, 'bin/ixy-ts')], {
        encoding: 'utf8',
      })
      expect(stderr).toMatch(tooOld)
      expect(stderr).toMatch(/^ixy-ts: .* \[IXY_ERR_SYSTEM\]\n$/)
      expect(status).toBe(4)
      writeFileSync(file, text)
    })
  },
)
