/** What `npm pack` makes: what is in it, and that it works where it is unpacked, below a folder that it can't write, without root. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { describeIf, missing, temporaryDirectory } from './support.ts'
import { ORDINARY_USER, PACKING, ROOT, nodeObstacle, unpackPackage } from './unpacked.ts'

describeIf(missing({ programs: PACKING }), 'the package', () => {
  const directory = temporaryDirectory()
  const unpacked = path.join(directory, 'package')
  const home = path.join(directory, 'home')

  beforeAll(() => {
    unpackPackage(directory)
    mkdirSync(home)
    chmodSync(home, 0o777)
  }, 60_000)

  test('has the tool, its documentation and nothing else', () => {
    const files = readdirSync(unpacked, { recursive: true, encoding: 'utf8' })
      .filter((name) => !name.startsWith('node_modules') && statSync(path.join(unpacked, name)).isFile())
      .filter((name) => !name.startsWith('docs/'))
    expect(files.sort()).toEqual(
      expect.arrayContaining([
        ...['LICENSE', 'README.md', 'bin/ixy-ts', 'bin/node-version.cjs', 'dist/LICENSES.txt'],
        ...['dist/cli.cjs', 'dist/worker.cjs', 'package.json', 'setup-hugetlbfs.sh'],
      ]),
    )
    for (const name of files) expect(name).toMatch(/^(bin|dist)\/[\w.-]+$|^[\w.-]+$/)
    expect(files.filter((name) => /\.map$|\.test\.|tsconfig/.test(name))).toEqual([])
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
