/** docs/examples/stream.ts and a virtual 82599: what it counts, what a capture holds, what tshark finds in it. */
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { appWith, runApp, writeApp } from './apps.ts'
import { copyExample } from './example-files.ts'
import { describeIf, ixy, missing, objects, temporaryDirectory } from './support.ts'

const folder = temporaryDirectory()

describeIf(missing({ programs: ['tshark'] }), 'an app that leaves work to the card', () => {
  test('its stream is whole, right and tagged, and so says the card of what comes back', async () => {
    const file = path.join(folder, 'sent.pcap')
    const device = `virtual:loop,record=${file}`
    const options = ['--mtu', '9000', '--json', '--check', '--expect-loss', '0']
    const own = ['--count', '50', '--vlan', '42', '--segment', '1200']
    const { code, stdout, stderr } = await ixy(
      'run',
      copyExample('stream', folder),
      device,
      ...options,
      '--',
      ...own,
    )
    expect([code, stderr]).toEqual([0, expect.any(String)])
    // 15,872 bytes less a tag and 54 of headers, in parts of 1200.
    const payload = 15_872 - 4 - 54
    const frames = 50 * Math.ceil(payload / 1200)
    const [end] = objects(stdout, 'end') as unknown as [
      { app: { counters: Record<string, number> }; balance: { offered: number; arrived: number }[] },
    ]
    expect(end.app.counters).toEqual({ large: 50, good: frames, bad: 0, not_checked: 0, tagged: frames })
    expect(end.balance).toEqual([
      expect.objectContaining({ offered: frames, arrived: frames, unaccounted: 0 }),
      expect.objectContaining({ offered: frames, arrived: frames, unaccounted: 0 }),
    ])
    const fields = ['vlan.id', 'ip.checksum.status', 'tcp.checksum.status', 'tcp.seq_raw', 'tcp.len']
    const tshark = spawnSync(
      'tshark',
      [
        ...['-n', '-r', file, '-T', 'fields', '-E', 'separator=;'],
        ...['-o', 'ip.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE'],
        ...fields.flatMap((field) => ['-e', field]),
      ],
      { encoding: 'utf8' },
    )
    const lines = tshark.stdout.trimEnd().split('\n')
    let sequence = 0
    const expected = Array.from({ length: frames }, (_, i) => {
      const length = Math.min(1200, payload - (i % Math.ceil(payload / 1200)) * 1200)
      const line = `42;1;1;${sequence};${length}`
      sequence += length
      return line
    })
    expect(lines).toEqual(expected)
  })
})

test('what can not be done is refused with the place in the app', async () => {
  const step = `
    memory.allocate(1, batch, 1)
    const [id] = batch
    memory.size[id] = 60
    memory.u8.fill(0, memory.dataOffset(id), memory.dataOffset(id) + 60)
    memory.offloads.flags[id] = 1
    memory.offloads.checksumStart[id] = 60
    return port.tx.transmit(batch, 0, 1)`
  const file = writeApp(folder, 'wrong.mjs', appWith({ step, rest: "pools: 1, offloads: 'uses'," }))
  const plain = await runApp(file, 'virtual:sink')
  expect(plain.stderr).toContain(
    'its open checksum is said to be at byte 60, summed from byte 60 on, of a packet of 60 bytes',
  )
  expect(plain.stderr).toContain('IXY_ERR_BUFFER')
  const checked = await runApp(file, 'virtual:sink', '--check')
  expect(checked.stderr).toMatch(
    /wrong\.mjs:15:\d+: wrong-offload: packet \d+, use 1: transmit: its open checksum/,
  )
  expect([plain.code, checked.code]).toEqual([1, 1])
})
