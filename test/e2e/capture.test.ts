import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pcap } from '../captures/build.ts'
import { mixedFrames, readCapture, writeCapture } from './captures.ts'
import {
  childrenOf,
  describeIf,
  ixy,
  LAUNCHER,
  missing,
  objects,
  sh,
  temporaryDirectory,
  Tool,
} from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

function expectFrames(name: string, frames: readonly Uint8Array[]): void {
  const received = readCapture(file(name))
  expect(received.length).toBe(frames.length)
  // One expect() for each would take longer than the run.
  expect(received.findIndex((frame, i) => Buffer.compare(frame, frames[i]) !== 0)).toBe(-1)
}

describe('forward from capture to capture', () => {
  const frames = mixedFrames(3000)

  test.each([
    ['microseconds', 'ts', {}],
    ['nanoseconds', 'wasm', { nanoseconds: true }],
  ])(
    'both ways at once every frame comes out byte for byte and in order, and is counted (%s in both byte orders, %s)',
    async (_, backend, format) => {
      const others = mixedFrames(2000, 2)
      writeCapture(file('a.pcap'), frames, format)
      writeCapture(file('b.pcap'), others, { ...format, bigEndian: true })
      const wires = ['a', 'b'].map(
        (name) => `virtual:replay=${file(`${name}.pcap`)},record=${file(`${name}-out.pcap`)}`,
      )
      const { code, stdout } = await ixy('forward', '--json', '--backend', backend, ...wires)
      expect(code).toBe(0)
      expectFrames('b-out.pcap', frames)
      expectFrames('a-out.pcap', others)
      const end = objects(stdout, 'end')[0] as unknown as {
        reason: string
        devices: { rx: { packets: number; bytes: number }; tx: { packets: number; bytes: number } }[]
      }
      const [a, b] = [frames, others].map((all) => ({
        packets: all.length,
        bytes: all.reduce((sum, frame) => sum + frame.length, 0),
      }))
      // It ended by itself.
      expect(end.reason).toBe('done')
      expect(end.devices).toMatchObject([
        { rx: a, tx: b },
        { rx: b, tx: a },
      ])
    },
  )

  test.each(['ts', 'wasm'])('--touch changes byte 48 and nothing else (%s)', async (backend) => {
    const [input, output] = [file('in.pcap'), file('touched.pcap')]
    writeCapture(input, frames)
    expect(
      (
        await ixy(
          'forward',
          '--touch',
          '--backend',
          backend,
          `virtual:replay=${input}`,
          `virtual:record=${output}`,
        )
      ).code,
    ).toBe(0)
    const touched = frames.map((frame) => Uint8Array.from(frame))
    for (const frame of touched) frame[48]++
    expectFrames('touched.pcap', touched)
  })
})

/** Runs a line of bash in which $IXY is the tool; binary output stays as it is. */
function bash(line: string): { code: number | null; stdout: Buffer; stderr: string } {
  const env = { ...process.env, IXY: `${process.execPath} ${LAUNCHER}`, NO_COLOR: '1' }
  const options = { env, cwd: directory, timeout: 60_000, maxBuffer: 2 ** 28 } as const
  const { status, stdout, stderr } = spawnSync('bash', ['-c', line], options)
  return { code: status, stdout, stderr: stderr.toString() }
}

const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString('hex'))

function endOf(stdout: string): {
  error: { code: string } | null
  reason: string
  virtual: { wires: { counters: Record<string, number> }[] }[]
} {
  return objects(stdout, 'end')[0] as ReturnType<typeof endOf>
}

describe('captures that are not as they should be', () => {
  test('a truncated one is played up to the cut with a warning, and refused with strict', async () => {
    const input = file('cut.pcap')
    writeCapture(input, mixedFrames(10))
    truncateSync(input, readFileSync(input).length - 5)
    const { code, stdout, stderr } = await ixy('forward', '--json', `virtual:replay=${input}`, 'virtual:sink')
    expect(code).toBe(0)
    expect(stderr).toMatch(/cut\.pcap: it ends within packet 10; it is used up to there/)
    expect(endOf(stdout).virtual[0].wires[0].counters).toMatchObject({ sent: 9 })
    const strict = await ixy('forward', `virtual:replay=${input},strict`, 'virtual:sink')
    expect(strict.code).toBe(2)
    expect(strict.stderr).toMatch(/ends within packet 10; leave out strict.*\[IXY_ERR_FILE\]/)
    expect(strict.stdout).toBe('')
  })

  test('damage in mid-run is a failure of the run, after all packets before it', async () => {
    const input = file('damaged.pcap')
    writeCapture(input, Array(14_000).fill(new Uint8Array(1500).fill(2)))
    const bytes = readFileSync(input)
    bytes.writeUInt32LE(0x7fff_ffff, 24 + 13_000 * 1516 + 8)
    writeFileSync(input, bytes)
    const { code, stdout, stderr } = await ixy(
      'forward',
      '--json',
      `virtual:replay=${input},rate=100%`,
      'virtual:sink',
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/packet 13001 claims to have .*\[IXY_ERR_INPUT\]/)
    const end = endOf(stdout)
    expect([end.reason, end.error?.code]).toEqual(['error', 'IXY_ERR_INPUT'])
    expect(end.virtual[0].wires[0].counters).toMatchObject({ sent: 13_000 })
  })

  test('other link types are refused by name', async () => {
    const input = file('wlan.pcap')
    writeFileSync(input, pcap([{ data: new Uint8Array(60) }], { linkType: 105 }))
    const { code, stderr } = await ixy('forward', `virtual:replay=${input}`, 'virtual:sink')
    expect(code).toBe(2)
    expect(stderr).toMatch(/IEEE 802.11 \(link type 105\)/)
  })
})

describeIf(missing({ programs: ['editcap', 'gzip'] }), 'captures that others have written', () => {
  test('pcapng, packed, with a name that lies', async () => {
    const frames = mixedFrames(2000)
    writeCapture(file('plain.pcap'), frames)
    sh('editcap', '-F', 'pcapng', file('plain.pcap'), file('ng'))
    sh('gzip', '-f', file('ng'))
    renameSync(file('ng.gz'), file('ng.pcap'))
    const { code } = await ixy(
      'forward',
      `virtual:replay=${file('ng.pcap')}`,
      `virtual:record=${file('ng-out.pcap')}`,
    )
    expect(code).toBe(0)
    expect(hex(readCapture(file('ng-out.pcap')))).toEqual(hex(frames))
  })
})

describe('pipes', () => {
  test('stdin and stdout are those of the command; what it has to say goes to stderr', () => {
    const frames = mixedFrames(300)
    writeCapture(file('in.pcap'), frames)
    const { code, stdout, stderr } = bash(
      'cat in.pcap | $IXY forward --json virtual:replay=- virtual:record=- | cat; exit ${PIPESTATUS[1]}',
    )
    expect(code).toBe(0)
    writeFileSync(file('piped.pcap'), stdout)
    expect(hex(readCapture(file('piped.pcap')))).toEqual(hex(frames))
    expect(endOf(stderr).virtual[1].wires[0].counters).toMatchObject({ recorded: 300 })
  })

  test('redirected files and <(…)', () => {
    const { code } = bash(
      '$IXY forward virtual:replay=<(cat in.pcap) virtual:record=/dev/stdout > redirected.pcap',
    )
    expect(code).toBe(0)
    expect(readCapture(file('redirected.pcap')).length).toBe(300)
    expect(bash('$IXY forward virtual:replay=/dev/stdin virtual:sink < in.pcap').code).toBe(0)
  })

  test('a FIFO without a writer: says what it waits for, and ends when it is told to', async () => {
    sh('mkfifo', file('fifo'))
    const tool = new Tool(['forward', '--json', `virtual:replay=${file('fifo')}`, 'virtual:sink'])
    await tool.until(/"start"/)
    expect(tool.stderr).toMatch(/fifo: waiting for its writer/)
    const { code } = await tool.kill()
    expect(code).toBe(0)
  })

  test('a FIFO without a reader: says so, ends when it is told to, and names what is missing', async () => {
    const tool = new Tool(['pktgen', '--json', '-n', '100', `virtual:record=${file('fifo')}`])
    await tool.until(/waiting for a reader/, 'stderr')
    const { code, stdout, stderr } = await tool.end()
    expect(code).toBe(1)
    expect(stderr).toMatch(/100 packets are missing in .*fifo.*\[IXY_ERR_OUTPUT\]/)
    expect(endOf(stdout).virtual[0].wires[0].counters).toMatchObject({
      arrived: 100,
      recorded: 0,
      unwritten: 100,
    })
  })
})

describe('what is recorded', () => {
  test('an existing file is left alone when the run can’t start', async () => {
    writeFileSync(file('precious.pcap'), 'precious')
    const { code } = await ixy(
      'forward',
      `virtual:record=${file('precious.pcap')}`,
      `vfio-user:${file('no.sock')}`,
    )
    expect(code).toBe(3)
    expect(readFileSync(file('precious.pcap'), 'utf8')).toBe('precious')
  })

  test('a run without packets leaves an empty capture', async () => {
    const { code } = await ixy(
      'forward',
      `virtual:record=${file('precious.pcap')}`,
      'virtual:sink',
      '-d',
      '0.2',
    )
    expect(code).toBe(0)
    expect(readCapture(file('precious.pcap'))).toEqual([])
  })

  test('names with commas, and names that are not UTF-8', () => {
    const { code } = bash(String.raw`$IXY pktgen -n 3 'virtual:record=a\,b\xff.pcap,snaplen=40'`)
    expect(code).toBe(0)
    const name = Buffer.concat([
      Buffer.from(directory),
      Buffer.from('/a,b'),
      Buffer.of(0xff),
      Buffer.from('.pcap'),
    ])
    const bytes = readFileSync(name)
    expect(bytes.length).toBe(24 + 3 * (16 + 40))
  })

  test('what a killed process leaves behind can be played', async () => {
    const tool = new Tool([
      'forward',
      'virtual:gen,rate=100kpps',
      `virtual:record=${file('killed.pcap')}`,
      '-i',
      '0.1',
    ])
    await tool.until(/TX[^]*TX/)
    // However slow the machine is.
    while (statSync(file('killed.pcap')).size <= 24 + 1000 * 76)
      await new Promise((resolve) => setTimeout(resolve, 10))
    process.kill(childrenOf(tool.pid)[0], 'SIGKILL')
    expect((await tool.end()).code).toBe(1)
    const whole = Math.floor((statSync(file('killed.pcap')).size - 24) / 76)
    expect(whole).toBeGreaterThan(1000)
    const replay = `virtual:replay=${file('killed.pcap')},rate=100%`
    const { code, stdout } = await ixy('forward', '--json', replay, 'virtual:sink')
    expect(code).toBe(0)
    expect(endOf(stdout).virtual[0].wires[0].counters).toMatchObject({ sent: whole })
  })
})

describeIf(missing({ root: true, programs: ['mount', 'umount'] }), 'a full disk', () => {
  const disk = file('disk')
  beforeAll(() => {
    mkdirSync(disk)
    sh('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk)
  })
  afterAll(() => sh('umount', disk))

  test('the capture ends with its last whole packet, and the counts are exact', async () => {
    const { code, stdout, stderr } = await ixy(
      'pktgen',
      '--json',
      '-n',
      '100000',
      `virtual:record=${disk}/out.pcap`,
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(/ENOSPC.*\[IXY_ERR_OUTPUT\]/)
    const { arrived, recorded, unwritten } = endOf(stdout).virtual[0].wires[0].counters
    expect(readFileSync(`${disk}/out.pcap`).length).toBe(24 + recorded * 76)
    expect(readCapture(`${disk}/out.pcap`).length).toBe(recorded)
    expect(recorded).toBeGreaterThan(13_000)
    expect(recorded + unwritten).toBe(arrived)
  })
})
