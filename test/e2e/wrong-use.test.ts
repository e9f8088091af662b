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
  test.each<[string, string[], RegExp]>([
    ['no command', [], /command is missing; see ixy-ts --help/],
    ['unknown command', ['frob'], /unknown command 'frob'/],
    ['misspelt command', ['forwad', ...GEN], /did you mean forward\?/],
    ['unknown option', ['forward', ...GEN, '--frob'], /unknown option '--frob'; see ixy-ts forward --help/],
    ['one device', ['forward', 'virtual:gen'], /missing required argument 'device-b'/],
    ['three devices', ['forward', ...GEN, 'virtual:gen'], /too many arguments/],
    ['option without its value', ['forward', ...GEN, '--duration'], /argument missing/],
    ['batch 0', ['forward', ...GEN, '--batch-size', '0'], /--batch-size 0 .* from 1 to 4095/],
    ['negative batch', ['forward', ...GEN, '-b', '-1'], /--batch-size -1 .* from 1 to 4095/],
    ['batch that is no number', ['forward', ...GEN, '-b', 'NaN'], /--batch-size NaN .* from 1 to 4095/],
    ['batch as large as the ring', ['forward', ...GEN, '-b', '64', '--ring-size', '64'], /at most 63/],
    ['ring size 500', ['forward', ...GEN, '--ring-size', '500'], /power of two from 64 to 4096/],
    ['ring size 32', ['forward', ...GEN, '--ring-size', '32'], /power of two from 64 to 4096/],
    [
      'duration 0',
      ['forward', ...GEN, '-d', '0'],
      /--duration 0 .* a time from 1ms to .* as in 10s, 500ms, 2m or 1h/,
    ],
    ['negative duration', ['forward', ...GEN, '-d', '-1'], /--duration -1 .* a time from/],
    ['interval that is no number', ['forward', ...GEN, '-i', 'NaN'], /--interval NaN .* a time from 10ms/],
    ['no queues', ['forward', ...GEN, '-q', '0'], /--queues 0 .* from 1 to/],
    ['CPUs backwards', ['forward', ...GEN, '--cpus', '5-2'], /CPU numbers as in 2,3 or 2-5/],
    ['a CPU that is not there', ['forward', ...GEN, '--cpus', '4000'], /CPU 4000; choose from/],
    ['MAC of a group', ['vnic', 'x', '--wire', 'sink', '--mac', '01:00:00:00:00:01'], /group \(multicast\)/],
    ['MAC 0', ['vnic', 'x', '--wire', 'sink', '--mac', '00:00:00:00:00:00'], /no address of an interface/],
    ['one MAC for two', ['vnic', 'x', 'y', '--mac', '02:00:00:00:00:01'], /1 addresses for 2 NICs/],
    [
      'a MAC twice',
      ['vnic', 'x', 'y', '--mac', '02:00:00:00:00:01', '--mac', '02-00-00-00-00-01'],
      /02:00:00:00:00:01 twice/,
    ],
    ['a TAP called all', ['pktgen', 'virtual:tap=all'], /called 'all'/],
    ['log level', ['forward', ...GEN, '--log-level', 'loud'], /one of trace, debug, info/],
    ['way to the device', ['forward', ...GEN, '--access', 'dpdk'], /one of sysfs, vfio/],
    ['loss above 1', ['forward', ...GEN, '--expect-loss', '2'], /--expect-loss 2 .* from 0 to 1/],
    ['packet too short', ['pktgen', 'virtual:sink', '--size', '59'], /from 60 to/],
    ['packet too long', ['pktgen', 'virtual:sink', '--size', '1515'], /at most 1514 with --mtu 1500/],
    [
      'packet too long for a larger MTU',
      ['pktgen', 'virtual:sink', '--mtu', '9000', '--vlan', '7', '--size', '9019'],
      /from 60 to 9018/,
    ],
    [
      'packet too long with a tag',
      ['pktgen', 'virtual:sink', '--vlan', '7', '--size', '1519'],
      /at most 1518 with --mtu 1500 and --vlan/,
    ],
    [
      'a generator that sleeps',
      ['pktgen', 'virtual:sink', '--mode', 'interrupt'],
      /never sleeps; leave --mode out/,
    ],
    ['rate 0', ['pktgen', 'virtual:sink', '--rate', '0pps'], /not a packet rate; write it as in/],
    ...['101%', '12Gbit', '20Mpps'].map((rate): [string, string[], RegExp] => [
      `rate ${rate}, above the link`,
      ['pktgen', 'virtual:sink', '--rate', rate],
      /is more than the link carries: 14\.88 Mpps of 60 bytes at 10000 Mbit\/s; give at most 100%, or max/,
    ]),
    ['bytes for bits', ['pktgen', 'virtual:sink', '--rate', '1GBps'], /write bits, as in 2Gbit/],
    ['rate without unit', ['pktgen', 'virtual:sink', '--rate', '5'], /not a packet rate; write it as in/],
    ['count 0', ['pktgen', 'virtual:sink', '-n', '0'], /--count 0 .* from 1 to/],
    [
      'flows beyond the ports',
      ['pktgen', 'virtual:sink', '--flows', '9', '--src-port', '65530'],
      /fewer flows/,
    ],
    ['two sizes', ['pktgen', 'virtual:sink', '--imix', '--size', '100'], /cannot be used with/],
    ['VLAN 4095', ['pktgen', 'virtual:sink', '--vlan', '4095'], /from 1 to 4094/],
    ['MAC address', ['pktgen', 'virtual:sink', '--src-mac', '1:2'], /not a MAC address; write/],
    ['IP address', ['pktgen', 'virtual:sink', '--dst-ip', '300.1.1.1'], /not an IPv4 address; write/],
    ['vnic without a wire', ['vnic', 'a.sock'], /a wire is missing; give --wire/],
    ['a cable and a wire', ['vnic', 'a.sock', 'b.sock', '--wire', 'gen'], /goes with one socket/],
    ['one socket twice', ['vnic', 'a.sock', './a.sock'], /two different sockets/],
    ['unknown device for stats', ['stats', 'eth0'], /'eth0' is not a device; use a PCI address/],
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
    ['malformed address', ['forward', '00:xx', '03:00.0'], 2, /'00:xx' is not a device; use a PCI address/],
    ['interface name', ['forward', 'eth0', 'eth1'], 2, /'eth0' is not a device/],
    ['the same card', ['forward', 'ff:1f.6', '0000:ff:1f.6'], 2, /the same device; give two different/],
    ['the same TAP', ['forward', 'virtual:tap=x', 'virtual:tap=x'], 2, /the same device/],
    ['the same output', ['forward', 'virtual:record=x', 'virtual:record=./x'], 2, /use the same file/],
    [
      'an output that is an input',
      ['forward', `virtual:replay=${file('a.pcap')}`, `virtual:record=${file('link.pcap')}`],
      2,
      /use the same file; record into a file of its own/,
    ],
    [
      'an output that pktgen reads',
      ['pktgen', `virtual:record=${file('a.pcap')}`, '--pcap', file('a.pcap')],
      2,
      /use the same file/,
    ],
    [
      'no such card',
      ['forward', 'ff:1f.6', 'ff:1f.7'],
      3,
      /no PCI device 0000:ff:1f\.6; ixy-ts devices lists/,
    ],
    ['unknown wire', ['forward', 'virtual:frob', 'virtual:gen'], 2, /'frob' is not a wire; use one of gen/],
    ['wire without its value', ['forward', 'virtual:tap', 'virtual:gen'], 2, /write tap=<ifname>/],
    [
      'option of another wire',
      ['forward', 'virtual:gen,repeat=2', 'virtual:gen'],
      2,
      /'repeat=2' is neither/,
    ],
    ['number in a wire', ['forward', 'virtual:gen,count=0', 'virtual:gen'], 2, /count=/],
    ['unknown fault', ['forward', 'virtual:gen,fault=frob=1', 'virtual:gen'], 2, /frob/],
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
    ['no server', ['pktgen', 'vfio-user:no.sock'], 3, /no vfio-user server listens at no\.sock; start one/],
    ['socket folder missing', ['vnic', '/no/a.sock', '--wire', 'gen'], 2, /folder \/no doesn't exist/],
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

  test.each(['--help', 'devices', 'forward virtual:gen virtual:sink --log-level warn'])(
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
