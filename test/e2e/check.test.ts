/** `--check`: what an app does wrong with its packet buffers ends the run and is told with its place; what ours do is right. */
import path from 'node:path'
import { appWith, runApp, writeApp } from './apps.ts'
import { Tool, ixy, objects, temporaryDirectory } from './support.ts'

const folder = temporaryDirectory()

const STEP = `const count = port.rx.receive(batch, Math.min(batchSize, port.tx.room()))
        port.tx.transmit(batch, 0, count)
        if (count > 0) memory.free(batch, 0, 1)
        return count`

describe('an app that frees what it has transmitted', () => {
  const file = writeApp(folder, 'twice.mjs', appWith({ step: STEP }))
  const line = 8

  test.each([
    ['--check', {}],
    ['IXY_TS_CHECK=1', { IXY_TS_CHECK: '1' }],
  ] as const)(
    '%s: the run ends with what, which packet and where, in text and JSON',
    async (option, environment) => {
      const args = [
        'run',
        file,
        'virtual:gen',
        '-d',
        '20',
        '--json',
        ...(option === '--check' ? [option] : []),
      ]
      const { code, stdout, stderr } = await new Tool(args, { env: environment }).end()
      expect(code).toBe(1)
      const place = `${file}:${line + 2}:`
      expect(stderr).toMatch(
        new RegExp(`^ixy-ts: ${place}\\d+: double-free: packet \\d+, .*\\[IXY_ERR_CHECK\\]$`, 'm'),
      )
      const [end] = objects(stdout, 'end')
      const { code: name, finding } = end['error'] as { code: string; finding: Record<string, unknown> }
      expect([end['reason'], name, finding['kind']]).toEqual(['error', 'IXY_ERR_CHECK', 'double-free'])
      expect(finding['at']).toContain(place)
      expect(finding['givenAt']).toContain(`${file}:${line + 1}:`)
      expect(finding['takenAt']).toContain(`${file}:${line}:`)
      expect(finding['packet']).toEqual(expect.any(Number))
    },
  )
})

test('packets that are left at the end are told with the line that received them', async () => {
  const step = 'return port.rx.receive(batch, batchSize)'
  const file = writeApp(folder, 'forgets.mjs', appWith({ step }))
  const { code, stderr } = await runApp(file, 'virtual:gen,rate=1kpps', '-d', '0.3', '--check')
  expect(code).toBe(1)
  expect(stderr).toMatch(/forgets\.mjs:8:\d+: leak: packet \d+, use 1: \d+ in all, .* from .*forgets\.mjs:8:/)
})

test('without --check the same app runs on', async () => {
  const step = 'return port.rx.receive(batch, batchSize)'
  const file = writeApp(folder, 'goes-on.mjs', appWith({ step }))
  const { code } = await runApp(file, 'virtual:gen,rate=1kpps', '-d', '0.2')
  expect(code).toBe(0)
})

describe('nothing is found in', () => {
  const capture = path.join(folder, 'some.pcap')

  beforeAll(async () => {
    const { code } = await ixy(
      'pktgen',
      `virtual:record=${capture}`,
      '-n',
      '500',
      '--imix',
      '--flows',
      '3',
      '--quiet',
    )
    expect(code).toBe(0)
  })

  test.each([
    ['forward', 'virtual:gen', 'virtual:gen', '--touch'],
    ['forward', 'virtual:gen,fault=drop=0.01+corrupt=0.01+dup=0.01', 'virtual:loop', '--backend', 'ts'],
    ['forward', 'virtual:gen,size=9000', 'virtual:gen'],
    ['pktgen', 'virtual:loop', '--imix', '--flows', '7'],
    ['pktgen', 'virtual:loop', '--latency', '--backend', 'ts'],
    ['pktgen', 'virtual:loop', '--size', '2000', '--mtu', '2000', '--queues', '2', '--latency'],
    ['pktgen', 'virtual:loop', '--pcap', capture],
  ])('%s %s %s %s', async (...args) => {
    const { code, stderr, stdout } = await ixy(...args, '-d', '0.1', '--check', '--json', '--quiet')
    expect({ code, stderr: /IXY_ERR.*/.exec(stderr)?.[0] }).toEqual({ code: 0, stderr: undefined })
    const [end] = objects(stdout, 'end')
    const devices = end['devices'] as { tx: { packets: number } }[]
    expect(devices.reduce((sum, { tx }) => sum + tx.packets, 0)).toBeGreaterThan(100)
  })
})
