import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Plan } from '../../src/engine/app.ts'
import reflect from '../../docs/examples/reflect.ts'
import responder from '../../docs/examples/responder.ts'
import sources from '../../docs/examples/sources.ts'
import { EthernetFrame, VlanTag } from '../../src/index.ts'
import { FakeRun } from './fake-ports.ts'
import { arpRequest, describeFrame, type Ends, ipv4, ping, udp } from './frames.ts'

const folder = path.join(__dirname, '../../docs/examples')

test.each(
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name),
)('%s fits on a page or two, and imports nothing but the library', (name) => {
  const lines = readFileSync(path.join(folder, name), 'utf8').trimEnd().split('\n')
  expect(lines.length).toBeLessThanOrEqual(120)
  const imports = lines.flatMap((line) => /from '(.*)'$/.exec(line)?.[1] ?? [])
  expect(imports.filter((name) => name !== 'ixy-ts' && !name.startsWith('node:'))).toEqual([])
})

const us = '10.0.0.2'
const ends: Ends = { from: '10.0.0.9', to: us, fromMac: '52:54:00:00:00:09', toMac: '02:00:0a:00:00:02' }

describe('reflect', () => {
  test('sends everything back with its addresses swapped, also what is too short for a frame', () => {
    const run = new FakeRun(reflect as never, 1, undefined)
    const frames = Array.from({ length: 20 }, (_, i) => udp({ ...ends, to: `10.0.0.${i}` }))
    const [sent] = run.receive(0, ...frames, new Uint8Array(13))
    expect(sent.length).toBe(21)
    frames.forEach((frame, i) => {
      const swapped = Buffer.concat([frame.subarray(6, 12), frame.subarray(0, 6), frame.subarray(12)])
      expect(sent[i]).toEqual(swapped)
    })
    expect(run.held).toBe(0)
  })

  test('takes only what can be sent', () => {
    const run = new FakeRun(reflect as never, 1, undefined)
    run.ports[0].roomPerStep = 3
    run.ports[0].nextStep()
    run.ports[0].incoming.push(...Array.from({ length: 10 }, () => udp(ends)))
    expect(run.steps.step()).toBe(3)
    expect(run.ports[0].incoming.length).toBe(7)
  })
})

describe('responder', () => {
  const start = () => new FakeRun(responder as never, 1, responder.options?.([us]))

  test('answers ARP', () => {
    const run = start()
    const [sent] = run.receive(0, arpRequest(ends), arpRequest({ ...ends, to: '10.0.0.3' }))
    expect(sent.map(describeFrame)).toEqual([
      '02:00:0a:00:00:02 > 52:54:00:00:00:09 10.0.0.2 (02:00:0a:00:00:02) tells 10.0.0.9 (52:54:00:00:00:09)',
    ])
    expect(run.counters).toEqual({ arp_replies: 1, echo_replies: 0, ignored: 1 })
    expect(run.held).toBe(0)
  })

  test('answers ping with the same data', () => {
    const run = start()
    const request = ping(ends, 100)
    const [[reply]] = run.receive(0, request)
    expect(describeFrame(reply)).toBe(
      '02:00:0a:00:00:02 > 52:54:00:00:00:09 10.0.0.2 > 10.0.0.9 ttl 64 icmp 0/0',
    )
    expect(reply.subarray(38)).toEqual(Buffer.from(request.subarray(38)))
  })

  test('nothing else', () => {
    const run = start()
    const damaged = ping(ends)
    damaged[50] ^= 1
    const others = [
      udp(ends),
      ping({ ...ends, to: '10.0.0.3' }),
      damaged,
      ipv4(ends, 1, 48, (ip) => (ip.moreFragments = true)),
      run.receive(0, ping(ends))[0][0],
      new Uint8Array(13),
      new Uint8Array(60),
    ]
    expect(run.receive(0, ...others)).toEqual([[]])
    expect(run.counters.ignored).toBe(7)
    expect(run.held).toBe(0)
  })

  test('wants one address', () => {
    for (const argv of [[], ['10.0.0.1', '10.0.0.2'], ['host']])
      expect(() => responder.options?.(argv)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
  })
})

describe('sources', () => {
  const tagged = (frame: Uint8Array): Uint8Array => {
    const longer = Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0, 0, ...frame.subarray(12)])
    const [header, tag] = [new EthernetFrame(), new VlanTag()]
    header.wrap(longer)
    tag.wrap(longer, header.payloadOffset)
    tag.id = 5
    return longer
  }

  test('counts packets and bytes of each, with and without VLAN, and adds the workers up', async () => {
    const runs = [1, 2].map(() => new FakeRun(sources as never, 1, undefined))
    for (const run of runs) {
      run.receive(0, udp(ends, 100), tagged(udp(ends)), udp({ ...ends, from: '200.0.0.1' }), arpRequest(ends))
      expect(run.counters).toEqual({ ipv4: 3, other: 1, too_many: 0 })
      expect(run.held).toBe(0)
    }
    const context = { queues: 2 } as never
    const plan = (await sources.plan?.(undefined, context)) as Plan<unknown>
    expect(plan.jobs([]).length).toBe(2)
    expect(plan.result?.(runs.map(({ steps }) => steps.result?.()))).toEqual([
      { source: '10.0.0.9', packets: 4, bytes: 2 * (142 + 66) },
      { source: '200.0.0.1', packets: 2, bytes: 2 * 62 },
    ])
  })
})
