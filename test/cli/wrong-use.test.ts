/** Wrong uses that are noticed before anything is touched. What starts a process for it is in test/e2e/wrong-use.test.ts. */
import { existsSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { CommanderError } from 'commander'
import { failureLine } from '../../src/cli/failure.ts'
import { createProgram } from '../../src/cli/program.ts'
import { asUsageError } from '../../src/cli/usage.ts'
import { type IxyError, asIxyError } from '../../src/errors.ts'
import { writeCapture } from '../e2e/captures.ts'
import { describeIf, missing, temporaryDirectory } from '../e2e/support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)
const GEN = ['virtual:gen', 'virtual:gen']

/** What the program says of `argv`, as its main file puts it. */
async function refusalOf(argv: readonly string[]): Promise<IxyError> {
  const program = createProgram(() => undefined)
  try {
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    return error instanceof CommanderError ? asUsageError(error, argv, program) : asIxyError(error)
  }
  throw new Error(`not refused: ${argv.join(' ')}`)
}

async function expectRefusal(_: string, argv: readonly string[], message: RegExp): Promise<void> {
  const error = await refusalOf(argv)
  expect(failureLine(error)).toMatch(message)
  expect(error.exitCode).toBe(2)
}

describe('a wrong command line', () => {
  test.each<[string, string[], RegExp]>([
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
    ['bytes for bits', ['pktgen', 'virtual:sink', '--rate', '1GBps'], /write bits, as in 2Gbit/],
    ['rate without unit', ['pktgen', 'virtual:sink', '--rate', '5'], /not a packet rate; write it as in/],
    ['count 0', ['pktgen', 'virtual:sink', '-n', '0'], /--count 0 .* from 1 to/],
    [
      'flows beyond the ports',
      ['pktgen', 'virtual:sink', '--flows', '9', '--src-port', '65530'],
      /fewer flows/,
    ],
    ['two sizes', ['pktgen', 'virtual:sink', '--imix', '--size', '100'], /cannot be used with/],
    [
      'profile and size',
      ['pktgen', 'virtual:sink', '--profile', 'p.yaml', '--size', '60'],
      /cannot be used with/,
    ],
    ['profile that is not there', ['pktgen', 'virtual:sink', '--profile', '/no.yaml'], /\/no\.yaml: ENOENT/],
    ['answers for no address', ['pktgen', 'virtual:sink', '--answer', 'x'], /'x' is not an IPv4 address/],
    ['VLAN 4095', ['pktgen', 'virtual:sink', '--vlan', '4095'], /from 1 to 4094/],
    ['MAC address', ['pktgen', 'virtual:sink', '--src-mac', '1:2'], /not a MAC address; write/],
    ['IP address', ['pktgen', 'virtual:sink', '--dst-ip', '300.1.1.1'], /not an IPv4 address; write/],
    ['vnic without a wire', ['vnic', 'a.sock'], /a wire is missing; give --wire/],
    ['a cable and a wire', ['vnic', 'a.sock', 'b.sock', '--wire', 'gen'], /goes with one socket/],
    ['one socket twice', ['vnic', 'a.sock', './a.sock'], /two different sockets/],
    ...['101%', '12Gbit', '20Mpps'].map((rate): [string, string[], RegExp] => [
      `rate ${rate}, above the link`,
      ['pktgen', 'virtual:sink', '--rate', rate],
      /is more than the link carries: 14\.88 Mpps of 60 bytes at 10000 Mbit\/s; give at most 100%, or max/,
    ]),
    [
      'round trips not measured',
      ['pktgen', 'virtual:loop', '--expect-latency', 'p99=1s'],
      /give --latency as well/,
    ],
    ...(
      [
        ['p98=1s', /give one of p50, p90/],
        ['max', /and a time, as in p99=50us/],
        ['max=1week', /--expect-latency max=1week is not valid; give a time/],
      ] as const
    ).map(([value, message]): [string, string[], RegExp] => [
      `round trips of ${value}`,
      ['pktgen', 'virtual:loop', '--latency', '--expect-latency', value],
      message,
    ]),
    [
      'frames too long for a trial',
      ['rfc2544', 'virtual:loop', '--frame-sizes', '64,1519'],
      /--frame-sizes 1519 is not valid; give at most 1518 with --mtu 1500/,
    ],
    ...(
      [
        ['nosuchuser', /knows no user of that name/],
        ['4000000000', /give uid:gid/],
        ['root', /is root/],
        ['0:5', /is root/],
      ] as const
    ).map(([user, message]): [string, string[], RegExp] => [
      `user ${user}`,
      ['vnic', file('n.sock'), '--wire', 'sink', '--user', user],
      message,
    ]),
    ['unknown device for stats', ['stats', 'eth0'], /'eth0' is not a device; use a PCI address/],
  ])('%s', expectRefusal)
})

describe('devices and wires', () => {
  beforeAll(() => {
    writeCapture(file('a.pcap'), [new Uint8Array(60)])
    symlinkSync('a.pcap', file('link.pcap'))
  })

  test.each<[string, string[], RegExp]>([
    ['malformed address', ['forward', '00:xx', '03:00.0'], /'00:xx' is not a device; use a PCI address/],
    ['interface name', ['forward', 'eth0', 'eth1'], /'eth0' is not a device/],
    ['the same card', ['forward', 'ff:1f.6', '0000:ff:1f.6'], /the same device; give two different/],
    ['the same TAP', ['forward', 'virtual:tap=x', 'virtual:tap=x'], /the same device/],
    [
      'one stdout for two',
      ['forward', 'virtual:record=-', 'virtual:record=/dev/stdout'],
      /use the same file/,
    ],
    ['one stdin for two', ['forward', 'virtual:replay=-', 'virtual:replay=/dev/stdin'], /use the same file/],
    ['the same output', ['forward', 'virtual:record=x', 'virtual:record=./x'], /use the same file/],
    [
      'an output that is an input',
      ['forward', `virtual:replay=${file('a.pcap')}`, `virtual:record=${file('link.pcap')}`],
      /use the same file; record into a file of its own/,
    ],
    [
      'an output that pktgen reads',
      ['pktgen', `virtual:record=${file('a.pcap')}`, '--pcap', file('a.pcap')],
      /use the same file/,
    ],
    ['unknown wire', ['forward', 'virtual:frob', 'virtual:gen'], /'frob' is not a wire; use one of gen/],
    ['wire without its value', ['forward', 'virtual:tap', 'virtual:gen'], /write tap=<ifname>/],
    ['option of another wire', ['forward', 'virtual:gen,repeat=2', 'virtual:gen'], /'repeat=2' is neither/],
    ['number in a wire', ['forward', 'virtual:gen,count=0', 'virtual:gen'], /count=/],
    ['unknown fault', ['forward', 'virtual:gen,fault=frob=1', 'virtual:gen'], /frob/],
  ])('%s', expectRefusal)
})

describe('capture', () => {
  test.each<[string[], RegExp]>([
    [['-P'], /-w <file>/],
    [['-w', '/dev/null', '-b', 'packets:3'], /-w <file>/],
    [['-w', 'x', '-b', 'files:3'], /-b filesize:/],
    [['-w', '-', '-b', 'packets:3'], /-w <file>/],
    [['-w', 'x', '-a', 'foo:3'], /duration:<time>/],
    [['-w', 'x', '-f', 'udp', 'tcp'], /one of them/],
  ])('%j', (options, message) => expectRefusal('', ['capture', 'virtual:sink', ...options], message))

  test('extcap with what is no FIFO, which is not made', async () => {
    const none = file('none')
    const argv = ['extcap', '--capture', '--extcap-interface', 'ixy-ts', '--fifo', none]
    await expectRefusal('', argv, /none is no FIFO.*IXY_ERR_FILE/)
    expect(existsSync(none)).toBe(false)
  })
})

describeIf(missing({ libpcap: true }), 'a filter that makes no sense', () => {
  const nonsense =
    /^filter 'tcp prot 80': can't parse filter expression: syntax error; .*man pcap-filter.*\[IXY_ERR_USAGE\]$/

  test.each<[string, string[], RegExp]>([
    ['of forward', ['forward', '--filter', 'tcp prot 80', 'virtual:sink', 'virtual:sink'], nonsense],
    [
      'of a wire',
      ['forward', 'virtual:sink', `virtual:record=${file('never.pcap')},filter=tcp prot 80`],
      nonsense,
    ],
  ])('%s', expectRefusal)
})
