/** ixy-ts capture, judged by readers of captures that others wrote. */
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import { packetsOf, statisticsOf } from '../captures/blocks-of.ts'
import { mixedFrames, readCapture, writeCapture } from './captures.ts'
import {
  becomes,
  describeIf,
  ixy,
  LAUNCHER,
  missing,
  objects,
  temporaryDirectory,
  testIf,
  Tool,
} from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

interface Told {
  readonly received: number
  readonly captured: number
  readonly filteredOut: number
  readonly dropped: number
  readonly unwritten: number
  readonly afterEnd: number
  readonly missed: number
  readonly files: number
  readonly bytes: number
}

/** What the end object says of the capture; its sums add up, or this throws. */
function toldBy(stdout: string): Told {
  const [end] = objects(stdout, 'end')
  const told = end['capture'] as Told
  const fates = told.captured + told.filteredOut + told.dropped + told.unwritten + told.afterEnd
  if (fates !== told.received) throw new Error(`${fates} fates of ${told.received} packets`)
  return told
}

test('what was played in is in the file, byte for byte, and its statistics are the counts of the tool', async () => {
  const frames = mixedFrames(2000)
  writeCapture(file('in.pcap'), frames)
  const { code, stdout } = await ixy(
    'capture',
    `virtual:replay=${file('in.pcap')}`,
    '-w',
    file('out.pcapng'),
    '--json',
  )
  expect(code).toBe(0)
  const written = readFileSync(file('out.pcapng'))
  const packets = packetsOf(written)
  expect(packets.length).toBe(frames.length)
  expect(packets.findIndex(({ data }, i) => Buffer.compare(data, frames[i]) !== 0)).toBe(-1)
  expect(packets.findIndex(({ time }, i) => i > 0 && time < packets[i - 1].time)).toBe(-1)
  expect(Math.abs(Number(packets[0].time / 1_000_000n) - Date.now())).toBeLessThan(60_000)
  const told = toldBy(stdout)
  expect(told).toMatchObject({ received: 2000, captured: 2000, missed: 0, files: 1, bytes: written.length })
  const all = { ifrecv: 2000, ifdrop: 0, filteraccept: 2000, osdrop: 0, usrdeliv: 2000 }
  expect(statisticsOf(written)).toEqual(all)
})

describeIf(missing({ programs: ['tcpdump'] }), 'killed while it writes', () => {
  test('all that was written is there, whole, and at most the beginning of one record more', async () => {
    const name = file('killed.pcapng')
    const tool = new Tool(['capture', 'virtual:gen,rate=100kpps,size=1000', '-w', name, '--quiet'])
    const written = (): number => statSync(name, { throwIfNoEntry: false })?.size ?? 0
    expect(await becomes(() => written() > 4e6, 20_000)).toBe(true)
    const before = written()
    expect(await tool.kill('SIGKILL')).toMatchObject({ signal: 'SIGKILL' })
    const bytes = readFileSync(name)
    expect(bytes.length).toBeGreaterThanOrEqual(before)
    let whole = 0
    while (whole + 8 <= bytes.length) {
      const length = bytes.readUInt32LE(whole + 4)
      if (whole + length > bytes.length) break
      whole += length
    }
    expect(bytes.length - whole).toBeLessThan(1100)
    const packets = packetsOf(bytes.subarray(0, whole))
    expect(packets.length).toBeGreaterThan(before / 1100 - 1)
    // In the order of their sequence numbers, with room for those that the file says were dropped (the card may have missed more).
    const numbers = packets.map(({ data }) => data.readUInt32LE(56))
    expect(numbers.findIndex((number, i) => i > 0 && number <= numbers[i - 1] + packets[i].drops)).toBe(-1)
    // tcpdump says so if the last is cut off, and has shown the others.
    const { stdout } = spawnSync('tcpdump', ['-nr', name], { encoding: 'utf8', maxBuffer: 2 ** 28 })
    expect(stdout.split('\n').length - 1).toBe(packets.length)
  })
})

describeIf(missing({ programs: ['capinfos', 'tshark', 'editcap', 'tcpdump'] }), 'other programs', () => {
  test.each([
    ['pcapng', []],
    ['pcap', ['-P']],
    ['pcapng of several queues', ['--queues', '2']],
  ])('read the same packets from %s', async (_, options) => {
    const name = file(`judged${options.length}.cap`)
    const wire = 'virtual:gen,rate=20kpps,count=400,flows=8,size=100'
    const { code } = await ixy('capture', wire, '-w', name, '-s', '80', '-c', '300', ...options, '--quiet')
    expect(code).toBe(0)
    expect(execFileSync('capinfos', ['-Tmc', name], { encoding: 'utf8' })).toMatch(/,300\s*$/)
    const fields = ['-e', 'frame.len', '-e', 'frame.cap_len', '-e', 'udp.dstport']
    const lines = execFileSync('tshark', ['-r', name, '-T', 'fields', ...fields], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    expect(lines).toBe('100\t80\t1337\n'.repeat(300))
    const dumped = execFileSync('tcpdump', ['-nr', name, 'udp', 'port', '1337'], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    expect(dumped.split('\n').length - 1).toBe(300)
    expect(spawnSync('editcap', [name, file('edited.pcap')]).status).toBe(0)
  })
})

describeIf(missing({ programs: ['tcpdump'] }), 'a filter', () => {
  test('lets through what tcpdump lets through', async () => {
    writeCapture(file('in.pcap'), mixedFrames(2000, 3))
    const filter = ['vlan', 'or', '(ip6', 'and', 'greater', '700)']
    const args = [
      `virtual:replay=${file('in.pcap')}`,
      '-w',
      file('filtered.pcapng'),
      '-s',
      '100',
      '--json',
      ...filter,
    ]
    const { code, stdout } = await ixy('capture', ...args)
    expect(code).toBe(0)
    execFileSync('tcpdump', ['-r', file('in.pcap'), '-w', file('judged.pcap'), ...filter], { stdio: 'pipe' })
    const judged = readCapture(file('judged.pcap'))
    expect(judged.length).toBeGreaterThan(300)
    const written = readFileSync(file('filtered.pcapng'))
    const packets = packetsOf(written)
    expect(packets.map(({ originalLength }) => originalLength)).toEqual(judged.map(({ length }) => length))
    expect(packets.findIndex(({ data }, i) => data.compare(judged[i].subarray(0, 100)) !== 0)).toBe(-1)
    const told = toldBy(stdout)
    expect(told).toMatchObject({ received: 2000, captured: judged.length, filteredOut: 2000 - judged.length })
    expect(statisticsOf(written)).toMatchObject({ ifrecv: 2000, filteraccept: judged.length })
  })
})

test('files in a ring hold every packet exactly once', async () => {
  const frames = mixedFrames(1000, 7)
  writeCapture(file('in.pcap'), frames)
  const ring = ['-P', '-w', file('ring.pcap'), '-b', 'filesize:100', '-b', 'duration:10']
  const { code, stdout } = await ixy('capture', `virtual:replay=${file('in.pcap')}`, ...ring, '--json')
  expect(code).toBe(0)
  const names = readdirSync(directory).filter((name) => /^ring_\d{5}_\d{14}\.pcap$/.test(name))
  const packets = names.sort().flatMap((name) => readCapture(file(name)))
  expect(packets.length).toBe(frames.length)
  expect(packets.findIndex((frame, i) => Buffer.compare(frame, frames[i]) !== 0)).toBe(-1)
  expect(names.length).toBeGreaterThan(5)
  expect(toldBy(stdout)).toMatchObject({ captured: 1000, files: names.length })
})

describeIf(missing({ programs: ['tcpdump'] }), 'without -w', () => {
  test('packets are shown as tcpdump shows them', async () => {
    writeCapture(file('in.pcap'), mixedFrames(50, 5))
    const tool = await ixy(
      'capture',
      'virtual:gen,count=20,rate=1kpps,size=90',
      '--log-level',
      'warn',
      '-w',
      file('shown.pcap'),
      '-P',
    )
    expect(tool.code).toBe(0)
    // With the rehearsal that users have.
    const few = ['capture', 'virtual:gen,rate=100pps', '-c', '3', '-d', '20']
    const shown = new Tool(few, { env: { IXY_TS_REHEARSAL: '1' } })
    expect((await shown.end()).stdout).toMatch(/^([\d:.]{15} IP .*\n){3}\n/)
    const { code, stdout } = await ixy('capture', `virtual:replay=${file('shown.pcap')}`)
    expect(code).toBe(0)
    const judged = execFileSync('tcpdump', ['-ntr', file('shown.pcap')], { encoding: 'utf8', stdio: 'pipe' })
    const lines = stdout.split('\n').slice(0, 20)
    for (const line of lines) expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{6} /)
    expect(lines.map((line) => line.slice(16)).join('\n')).toBe(judged.trimEnd())
    expect(stdout).toMatch(/\ncapture: 20 packets shown\n/)
  })

  test('--json has them among the other objects, and drops what nobody can read', async () => {
    const { code, stdout } = await ixy(
      ...['capture', 'virtual:gen,flows=3,size=1514,count=30k,rate=max', '--queues', '2'],
      ...['--json', '--expect-loss', '0'],
    )
    expect(code).toBe(5)
    const told = toldBy(stdout)
    const packets = objects(stdout, 'packet')
    expect(packets.length).toBe(told.captured)
    expect(packets.length).toBeGreaterThan(100)
    expect(told.dropped).toBeGreaterThan(0)
    expect(packets[0]).toMatchObject({ length: 1514, udp: { destinationPort: 1337 } })
    const skipped = packets.reduce((sum, packet) => sum + Number(packet['skipped'] ?? 0), 0)
    expect(skipped).toBeLessThanOrEqual(told.dropped)
    const times = packets.map(({ time }) => String(time))
    expect(times[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
  })
})

test('a signal ends it with a whole file, exit code 0', async () => {
  const tool = new Tool([
    'capture',
    'virtual:gen,rate=5kpps',
    '-w',
    file('signal.pcapng'),
    '-i',
    '0.1',
    '--json',
  ])
  await tool.until(/"event":"app".*"captured":[1-9]/)
  const { code, stdout } = await tool.kill('SIGTERM')
  expect(code).toBe(0)
  const told = toldBy(stdout)
  expect(packetsOf(readFileSync(file('signal.pcapng'))).length).toBe(told.captured)
  expect(statisticsOf(readFileSync(file('signal.pcapng')))).toMatchObject({ usrdeliv: told.captured })
})

test('-a packets: and filesize: end it', async () => {
  const captured = async (condition: string): Promise<[Told, Buffer]> => {
    const args = ['-w', file('stop.pcapng'), '-a', condition, '--json']
    const { code, stdout } = await ixy('capture', 'virtual:gen,rate=20kpps', ...args)
    expect(code).toBe(0)
    const [told, written] = [toldBy(stdout), readFileSync(file('stop.pcapng'))]
    expect(packetsOf(written).length).toBe(told.captured)
    return [told, written]
  }
  expect((await captured('packets:50'))[0]).toMatchObject({ captured: 50 })
  const [, { length }] = await captured('filesize:10')
  // The packet that reaches it is in it, and the statistics follow.
  expect(length - 10_000).toBeGreaterThan(0)
  expect(length - 10_000).toBeLessThan(92 + 112)
})

test('a reader of the pipe who goes ends it cleanly', () => {
  const command = `"${process.execPath}" "${LAUNCHER}" capture virtual:gen,rate=20kpps -w - --json; echo "code $?" >&2`
  const { stdout, stderr } = spawnSync('sh', ['-c', `(${command}) | head -c 5000`], { maxBuffer: 1e7 })
  expect(stdout.length).toBe(5000)
  expect(stdout.readUInt32LE(0)).toBe(0x0a0d0d0a)
  expect(stderr.toString()).toMatch(/"reason":"signal"[^]*code 0\n$/)
})

test('a reader who reads nothing holds up neither the card nor the end, and the counts say so', async () => {
  const fifo = file('fifo')
  execFileSync('mkfifo', [fifo])
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const tool = new Tool([
      'capture',
      'virtual:gen,rate=20kpps',
      '-w',
      fifo,
      '--json',
      '-i',
      '0.2',
      '--mode',
      'interrupt',
    ])
    // More than the pipe holds.
    await tool.until(/"event":"app".*"total":\{"captured":\d{4}/)
    const since = performance.now()
    const { code, stdout, stderr } = await tool.kill('SIGTERM')
    expect(performance.now() - since).toBeLessThan(5_000)
    expect(code).toBe(1)
    expect(stderr).toMatch(/packets are missing.*too slowly.*\[IXY_ERR_OUTPUT\]/)
    const told = toldBy(stdout)
    expect(told.unwritten).toBeGreaterThan(0)
    expect(told.captured).toBeGreaterThan(0)
    const bytes = Buffer.alloc(1 << 20)
    const length = readSync(reader, bytes)
    expect(length).toBe(told.bytes)
  } finally {
    closeSync(reader)
  }
})

test('a disk that is full is a failure of the run', async () => {
  const { code, stdout, stderr } = await ixy(
    'capture',
    'virtual:gen,rate=100kpps',
    '-w',
    '/dev/full',
    '--json',
  )
  expect(code).toBe(1)
  expect(stderr).toMatch(/ENOSPC.*\[IXY_ERR_OUTPUT\]/)
  expect(toldBy(stdout).captured).toBe(0)
})

// Other wrong uses are refused in one process: test/cli/wrong-use.test.ts.
test.each([
  [['-w', '/no/such/folder/x'], /create its folder/],
  [['-w', ''], /name a file/],
])('%j is refused', async (options, fix) => {
  const { code, stderr } = await ixy('capture', 'virtual:sink', ...options)
  expect(code).toBe(2)
  expect(stderr).toMatch(fix)
})

testIf(missing({ libpcap: true }), 'a filter that is none is refused', async () => {
  const { code, stderr } = await ixy('capture', 'virtual:sink', '-w', 'x', 'udp', 'foo')
  expect(code).toBe(2)
  expect(stderr).toMatch(/man pcap-filter/)
})
