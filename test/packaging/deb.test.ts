/** `make deb`: what is in the package, that it works where it is unpacked, and what Debian's own judges say of it. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describeIf, missing, sh, temporaryDirectory, testIf } from '../e2e/support.ts'
import { ORDINARY_USER, ROOT, nodeObstacle } from '../e2e/unpacked.ts'

describeIf(missing({ programs: ['dpkg-deb'] }), 'the package for Debian', () => {
  const directory = temporaryDirectory()
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  const deb = path.join(ROOT, 'dist', `ixy-ts_${version}_amd64.deb`)
  const build = (umask: string) => sh('sh', '-c', `umask ${umask}; ${process.execPath} packaging/deb.mjs`)

  beforeAll(() => {
    build('022')
    sh('dpkg-deb', '-x', deb, directory)
    chmodSync(directory, 0o755)
  }, 120_000)

  test('names what it needs', () => {
    const fields = sh('dpkg-deb', '--field', deb)
    expect(fields).toContain(`\nVersion: ${version}\nArchitecture: amd64\n`)
    // Debian 12 has no Node.js that is new enough, and gets one by npm.
    expect(fields).toMatch(/^Depends: nodejs \(>= 20\.19\) \| npm, libc6 /m)
    const engines = /"node": ">=20\.19"/
    expect(readFileSync(path.join(ROOT, 'package.json'), 'utf8')).toMatch(engines)
  })

  test('has the tool, its manual, completion, service, udev rule and module; all of it root’s', () => {
    const listed = sh('dpkg-deb', '--contents', deb)
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/))
    expect(new Set(listed.map(([, owner]) => owner))).toEqual(new Set(['root/root']))
    expect(listed.map(([mode, , , , , name]) => `${mode} ${name}`)).toEqual(
      expect.arrayContaining([
        '-rwxr-xr-x ./usr/lib/ixy-ts/bin/ixy-ts',
        '-rwxr-xr-x ./usr/lib/ixy-ts/setup-hugetlbfs.sh',
        'lrwxrwxrwx ./usr/bin/ixy-ts',
        'drwxr-xr-x ./etc/ixy-ts/',
        '-rw-r--r-- ./usr/share/man/man1/ixy-ts.1.gz',
        '-rw-r--r-- ./usr/share/man/man1/ixy-ts-forward.1.gz',
        '-rw-r--r-- ./usr/share/bash-completion/completions/ixy-ts',
        '-rw-r--r-- ./usr/share/zsh/vendor-completions/_ixy-ts',
        '-rw-r--r-- ./usr/share/fish/vendor_completions.d/ixy-ts.fish',
        '-rw-r--r-- ./usr/lib/systemd/system/ixy-ts@.service',
        '-rw-r--r-- ./usr/lib/udev/rules.d/60-ixy-ts.rules',
        '-rw-r--r-- ./usr/lib/modules-load.d/ixy-ts.conf',
        '-rw-r--r-- ./etc/security/limits.d/ixy-ts.conf',
        '-rw-r--r-- ./usr/share/doc/ixy-ts/copyright',
      ]),
    )
  })

  testIf(nodeObstacle(), 'works where it is unpacked, as an ordinary user', () => {
    const home = path.join(directory, 'home')
    mkdirSync(home)
    chmodSync(home, 0o777)
    const launcher = path.join(directory, 'usr/bin/ixy-ts')
    const { status, stdout, stderr } = spawnSync(
      launcher,
      ['forward', 'virtual:gen,count=1000', 'virtual:sink', '--expect-loss', '0', '--json'],
      {
        ...{ ...ORDINARY_USER, cwd: home, encoding: 'utf8', timeout: 60_000 },
        env: {
          PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`,
          ...{ HOME: home, IXY_TS_RUNTIME_DIR: path.join(home, 'run') },
        },
      },
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining('IXY_ERR') })
    expect(stdout).toContain('"reason":"done"')
  })

  test('is the same whoever builds it', () => {
    const hash = () => createHash('sha256').update(readFileSync(deb)).digest('hex')
    const first = hash()
    build('077')
    expect(hash()).toBe(first)
  }, 120_000)

  testIf(
    missing({ programs: ['lintian'] }),
    'lintian finds no error',
    () => {
      const { status, stdout } = spawnSync('lintian', ['--fail-on', 'error', deb], {
        encoding: 'utf8',
      })
      expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    },
    120_000,
  )

  testIf(missing({ programs: ['systemd-analyze'] }), 'systemd understands the unit', () => {
    const unit = readFileSync(path.join(directory, 'usr/lib/systemd/system/ixy-ts@.service'), 'utf8')
    const file = path.join(directory, 'ixy-ts@.service')
    // Where there is something to execute.
    writeFileSync(file, unit.replaceAll('/usr/bin/ixy-ts ', '/bin/true '))
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})
