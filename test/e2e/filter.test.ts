/** `forward --filter`, `tunnel --filter` and `record=…,filter=…`, judged by tcpdump. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { bothEnds, INNER, OUTER } from '../apps/tunnel/rig.ts'
import { pcap } from '../captures/build.ts'
import { traffic } from '../packet/traffic.ts'
import { readCapture } from './captures.ts'
import { describeIf, ixy, missing, objects, temporaryDirectory } from './support.ts'

interface End {
  readonly devices: readonly { readonly dropped: Readonly<Record<string, number>> }[]
  readonly balance: readonly {
    readonly offered: number
    readonly arrived: number
    readonly filteredOut: number
  }[]
  readonly loss: { readonly lost: number; readonly unaccounted: number }
  readonly virtual: readonly {
    readonly wires: readonly { readonly counters: Readonly<Record<string, number>> }[]
  }[]
}

describeIf(missing({ programs: ['tcpdump'] }), 'filters', () => {
  const directory = temporaryDirectory()
  const file = (name: string): string => path.join(directory, name)

  /** Whole frames of at least 60 bytes: a card fills up shorter ones, and the filter then sees more. */
  const frames = traffic(21, 3000)
    .map(({ data }) => data)
    .filter(({ length }) => length >= 60)

  const matching = (expression: string): Uint8Array[] => {
    spawnSync('tcpdump', ['-r', file('in.pcap'), '-w', file('expected.pcap'), expression])
    return readCapture(file('expected.pcap'))
  }

  test.each(['wasm', 'ts'])('what matches goes on, the rest is counted and no loss (%s)', async (backend) => {
    writeFileSync(file('in.pcap'), pcap(frames.map((data) => ({ data }))))
    const { code, stdout } = await ixy(
      'forward',
      ...['--filter', 'ip or ip6', '--expect-loss', '0', '--json', '--quiet', '--backend', backend],
      `virtual:replay=${file('in.pcap')},rate=max`,
      String.raw`virtual:record=${file('out.pcap')},filter=ip[9] = 17 or ip proto \tcp`,
    )
    const end = objects(stdout).at(-1) as unknown as End
    expect(code).toBe(0)
    const passed = matching('ip or ip6').length
    const out = frames.length - passed
    expect(out).toBeGreaterThan(100)
    expect(end.balance[0]).toMatchObject({ offered: frames.length, arrived: passed, filteredOut: out })
    expect(end.devices[0].dropped['filtered_out']).toBe(out)
    expect(end.loss).toMatchObject({ lost: 0, unaccounted: 0 })
    const expected = matching('ip and (udp or tcp)')
    const recorded = readCapture(file('out.pcap'))
    expect(recorded.map((frame) => Buffer.from(frame).toString('hex'))).toEqual(
      expected.map((frame) => Buffer.from(frame).toString('hex')),
    )
    const [{ counters }] = end.virtual[1].wires
    expect(counters).toMatchObject({
      arrived: passed,
      recorded: expected.length,
      filteredOut: passed - expected.length,
    })
  })

  test('a tunnel carries what matches, in and out, and counts the rest', async () => {
    // As many as may wait for the next hop's address, each of a size that fits.
    const some = frames.filter(({ length }) => length <= 1000).slice(0, 120)
    const [inside, outside] = [some.slice(0, 60), some.slice(60)]
    // What the other end has sent, as it comes in; the first is its question for our address, which tells its own.
    const [near, far] = bothEnds(4, { encap: 'vxlan', vni: 42 })
    const [question] = far.receive(INNER, ...outside)[OUTER]
    const [answer] = near.receive(OUTER, question)[OUTER]
    const carried = far.receive(OUTER, answer)[OUTER]
    expect(carried).toHaveLength(outside.length)
    const capture = (name: string, list: readonly Uint8Array[]): string => {
      writeFileSync(file(name), pcap(list.map((data) => ({ data }))))
      return file(name)
    }
    const matches = (list: readonly Uint8Array[]): string[] => {
      capture('in.pcap', list)
      return matching('udp or ip6').map((frame) => Buffer.from(frame).toString('hex'))
    }
    const { code, stdout } = await ixy(
      ...['tunnel', '--encap', 'vxlan', '--vni', '42', '--local', '192.0.2.1', '--remote', '192.0.2.2'],
      ...['--filter', 'udp or ip6', '--json', '--quiet'],
      `virtual:replay=${capture('outer.pcap', [question, ...carried])},rate=max,record=${file('outer-out.pcap')}`,
      // Slowly: the run ends with the last of them, and by then the other end must have been found.
      `virtual:replay=${capture('inner.pcap', inside)},rate=200pps,record=${file('inner-out.pcap')}`,
    )
    expect(code).toBe(0)
    const end = objects(stdout).at(-1) as unknown as End & { app: { counters: Record<string, number> } }
    const [entering, leaving] = [matches(inside), matches(outside)]
    const out = [outside.length - leaving.length, inside.length - entering.length]
    expect(Math.min(...out, entering.length, leaving.length)).toBeGreaterThan(10)
    expect(end.devices.map(({ dropped }) => dropped['filtered_out'])).toEqual(out)
    expect(end.app.counters).toMatchObject({ encapsulated: entering.length, decapsulated: leaving.length })
    const hex = (frame: Uint8Array): string => Buffer.from(frame).toString('hex')
    expect(readCapture(file('inner-out.pcap')).map(hex)).toEqual(leaving)
    // The tunnel's packets as the other end takes them.
    const sent = readCapture(file('outer-out.pcap'))
    expect(far.receive(OUTER, ...sent)[INNER].map(hex)).toEqual(entering)
  })
})
