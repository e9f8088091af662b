/** Wrong uses, each with its exit code and one line that says what to do. */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { writeCapture } from './captures.ts'
import { LAUNCHER, Tool, describeIf, ixy, missing, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)
const GEN = ['virtual:gen', 'virtual:gen']

/** No traffic on stdout, exactly one line on stderr. */
async function expectRefusal(args: readonly string[], code: number, message: RegExp): Promise<void> {
  const outcome = await ixy(...args)
  expect(outcome.stdout).toBe('')
  expect(outcome.stderr).toMatch(/^ixy-ts: .* \[IXY_ERR_[A-Z_]+\]\n$/)
  expect(outcome.stderr).toMatch(message)
  expect(outcome.code).toBe(code)
}

describe('the command line', () => {
  // The others are refused in one process: test/cli/wrong-use.test.ts.
  test.each<[string, string[], RegExp]>([
    ['no command', [], /command is missing; see ixy-ts --help/],
    ['misspelt command', ['forwad', ...GEN], /did you mean forward\?/],
    ['duration 0', ['forward', ...GEN, '-d', '0'], /--duration 0 .* a time from 1ms to .* as in 10s/],
  ])('%s', async (_, args, message) => {
    await expectRefusal(args, 2, message)
  })

  test('with --json the refusal is an end object as well', async () => {
    const { code, stdout } = await ixy('forward', ...GEN, '--json', '-b', '0')
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      event: 'end',
      devices: [],
      reason: 'error',
      error: { code: 'IXY_ERR_USAGE' },
    })
  })

  test('a stack is shown only when debugging', async () => {
    const { stderr } = await ixy('forward', 'eth0', 'eth1', '--log-level', 'debug')
    expect(stderr).toMatch(/^ixy-ts: .*\[IXY_ERR_USAGE\]\nIxyError: .*\n\s+at /)
  })
})

describe('devices and wires', () => {
  beforeAll(() => {
    writeCapture(file('a.pcap'), [new Uint8Array(60)])
    symlinkSync('a.pcap', file('link.pcap'))
  })

  test.each<[string, string[], number, RegExp]>([
    [
      'no such card',
      ['forward', 'ff:1f.6', 'ff:1f.7'],
      3,
      /no PCI device 0000:ff:1f\.6; ixy-ts devices lists/,
    ],
    [
      'missing capture',
      ['forward', 'virtual:replay=no.pcap', 'virtual:gen'],
      2,
      /no\.pcap: ENOENT; check the name/,
    ],
    ['missing capture for pktgen', ['pktgen', 'virtual:sink', '--pcap', 'no.pcap'], 2, /no\.pcap: ENOENT/],
    ['no capture at all', ['pktgen', 'virtual:sink', '--pcap', LAUNCHER], 2, /doesn't start like a capture/],
    ['output folder missing', ['pktgen', 'virtual:record=/no/out.pcap'], 2, /create its folder first/],
    ['output is a folder', ['pktgen', `virtual:record=${directory}`], 2, /name a file/],
    ['socket folder missing', ['vnic', '/no/a.sock', '--wire', 'gen'], 2, /folder \/no doesn't exist/],
    ['no server', ['pktgen', 'vfio-user:no.sock'], 3, /no vfio-user server listens at no\.sock; start one/],
  ])('%s', async (_, args, code, message) => {
    await expectRefusal(args, code, message)
  })

  test('a capture without packets', async () => {
    const header = Buffer.alloc(24)
    header.writeUInt32LE(0xa1b2c3d4, 0)
    header.writeUInt16LE(2, 4)
    header.writeUInt16LE(4, 6)
    header.writeUInt32LE(262144, 16)
    header.writeUInt32LE(1, 20)
    writeFileSync(file('empty.pcap'), header)
    await expectRefusal(
      ['pktgen', 'virtual:sink', '--pcap', file('empty.pcap')],
      2,
      /has no packet that can be sent/,
    )
  })

  test('a server that is not a NIC', async () => {
    const server = createServer((client) => {
      client.on('error', () => undefined)
      client.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    await new Promise<void>((resolve) => server.listen(file('web.sock'), resolve))
    try {
      await expectRefusal(['pktgen', `vfio-user:${file('web.sock')}`], 3, /IXY_ERR_DEVICE_UNSUPPORTED/)
    } finally {
      server.close()
    }
  })

  test('one capture may be read twice', async () => {
    const wire = `virtual:replay=${file('a.pcap')}`
    expect((await ixy('forward', wire, wire)).code).toBe(0)
  })

  test('a file that is not a socket', async () => {
    writeFileSync(file('plain'), '')
    await expectRefusal(['pktgen', `vfio-user:${file('plain')}`], 3, /plain/)
  })

  test('a socket that another vnic listens on', async () => {
    const socket = file('taken.sock')
    const first = new Tool(['vnic', socket, '--wire', 'gen'])
    await first.until(/listening on/, 'stderr')
    await expectRefusal(['vnic', socket, '--wire', 'gen'], 3, /IXY_ERR_DEVICE_IN_USE/)
    expect((await first.kill()).code).toBe(0)
    expect(existsSync(socket)).toBe(false)
  })
})

/** A PCI function of this machine that is no network card. It is only looked at. */
function anotherFunction(): string | null {
  const root = '/sys/bus/pci/devices'
  if (!existsSync(root)) return null
  const found = readdirSync(root).find(
    (address) => !readFileSync(path.join(root, address, 'class'), 'utf8').startsWith('0x02'),
  )
  return found ?? null
}

const other = anotherFunction()
describeIf(
  other === null ? 'no PCI function here that is no NIC' : null,
  'a PCI function that is not a NIC',
  () => {
    test('is refused', async () => {
      await expectRefusal(['pktgen', other ?? ''], 3, /is not a network card/)
    })
  },
)

describeIf(missing({ tap: true }), 'an interface that is no TAP', () => {
  test('is refused', async () => {
    await expectRefusal(['forward', 'virtual:tap=lo', 'virtual:sink'], 2, /lo is .* not a TAP; name a TAP/)
  })
})

test('a launcher without its bundle says what to run', () => {
  mkdirSync(file('bin'))
  copyFileSync(LAUNCHER, file('bin/ixy-ts'))
  for (const beside of ['bin/node-version.cjs', 'package.json']) {
    copyFileSync(path.join(__dirname, '../..', beside), file(beside))
  }
  const { status, stderr } = spawnSync(process.execPath, [file('bin/ixy-ts')], { encoding: 'utf8' })
  expect(stderr).toMatch(/^ixy-ts: .*cli\.cjs is missing; run make build \[IXY_ERR_SYSTEM\]\n$/)
  expect(status).toBe(4)
})

describe('stdout', () => {
  test('closed by its reader: ends quietly and cleanly', () => {
    const command = `'${process.execPath}' '${LAUNCHER}' forward virtual:gen virtual:gen -i 0.1 --log-level warn`
    const script = `${command} | head -1; echo "exit \${PIPESTATUS[0]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', timeout: 60_000 })
    expect(stdout).toMatch(/^\[virtual:gen #0\] RX: .* Mpps\nexit 0\n$/)
    expect(stderr).toBe('')
  })

  test.each(['--help', 'help forward', 'forward --help', '--dump-registers virtual:sink'])(
    'of %s, closed by its reader: ends quietly and cleanly',
    (command) => {
      // A reader that takes nothing is gone before the first line.
      const script = `'${process.execPath}' '${LAUNCHER}' ${command} | head -0; echo "exit \${PIPESTATUS[0]}"`
      const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', timeout: 60_000 })
      expect({ stdout, stderr }).toEqual({ stdout: 'exit 0\n', stderr: '' })
    },
  )

  test.each(['--help', 'devices', 'forward virtual:gen virtual:sink -i 0.1 --log-level warn'])(
    'of %s on a full disk: exit 1, and why',
    (command) => {
      const script = `'${process.execPath}' '${LAUNCHER}' ${command} >/dev/full`
      const { status, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', timeout: 60_000 })
      expect(stderr).toMatch(
        /^ixy-ts: stdout can't be written: ENOSPC.*; make room and run again \[IXY_ERR_OUTPUT\]\n$/,
      )
      expect(status).toBe(1)
    },
  )

  test('--help of every command goes there, with examples', async () => {
    for (const command of ['forward', 'pktgen', 'generate', 'stats', 'vnic', 'devices']) {
      const { code, stdout, stderr } = await ixy(command, '--help')
      expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' })
      expect(stdout).toMatch(/Examples:/)
      expect(stdout).not.toMatch(/default: (false|\[\])/)
    }
  })

  test('--version', async () => {
    const { version } = JSON.parse(readFileSync(path.join(__dirname, '../../package.json'), 'utf8')) as {
      version: string
    }
    expect(await ixy('--version')).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('expectations', () => {
  test('that are met change nothing', async () => {
    const { code, stderr } = await ixy(
      ...['forward', 'virtual:gen,count=10000', 'virtual:sink', '--expect-loss', '0', '--log-level', 'warn'],
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test.each([
    ['loss', ['virtual:gen,count=10000,fault=drop=0.5+seed=1', 'virtual:sink', '--expect-loss', '0.1']],
    ['rate', ['virtual:gen,count=10000', 'virtual:sink', '--expect-mpps', '1000']],
  ])('%s: exit 5, one line, and the end object tells as well', async (_, args) => {
    const { code, stdout, stderr } = await ixy('forward', ...args, '--json', '--log-level', 'warn')
    expect(code).toBe(5)
    expect(stderr).toMatch(/^ixy-ts: .* expected at .* \[IXY_ERR_EXPECTATION\]\n$/)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      event: 'end',
      reason: 'done',
      error: { code: 'IXY_ERR_EXPECTATION' },
    })
  })
})
