import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { NicHost } from '../../src/vnic/host.ts'

const QUIET = { oneClient: false, log: () => undefined }

describe('NicHost', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))
  const spec = (name: string, wire = 'gen'): { name: string; wire: string; socket: string } => ({
    name,
    wire,
    socket: path.join(directory, name),
  })

  test('listens on every socket, and removes them at the end', () => {
    const host = new NicHost([spec('a'), spec('b', 'sink')], false, QUIET)
    expect(readdirSync(directory)).toEqual(['a', 'b'])
    host.close()
    host.close()
    expect(readdirSync(directory)).toEqual([])
  })

  test('gives each NIC a MAC address of its own, the same every time', () => {
    const macs = [1, 2].map(() => {
      const host = new NicHost([spec('a', ''), spec('b', '')], true, QUIET)
      const pair = [host.mac(0), host.mac(1)]
      host.close()
      return pair
    })
    expect(macs[0][0]).not.toBe(macs[0][1])
    expect(macs[1]).toEqual(macs[0])
    // Unicast, locally administered.
    for (const mac of macs[0]) expect(mac).toMatch(/^02(:[0-9a-f]{2}){5}$/)
  })

  test('takes everything back when one NIC cannot be made', () => {
    const specs = [spec('a'), spec('b', `record=${path.join(directory, 'no', 'out.pcap')}`)]
    expect(() => new NicHost(specs, false, QUIET)).toThrow(/no\/out\.pcap/)
    expect(existsSync(path.join(directory, 'a'))).toBe(false)
  })

  test('without a client everything settles, and the wires report what they have done: nothing', async () => {
    const host = new NicHost([spec('a', 'gen,count=5'), spec('b', 'sink')], false, QUIET)
    const loop = host.run()
    await host.quiesce()
    const [a, b] = host.reports()
    expect(a).toMatchObject({ finite: true, ended: true, settled: true, breaches: [] })
    expect(a.wires).toEqual([expect.objectContaining({ wire: 'gen,count=5' })])
    expect(a.wires[0].counters).toMatchObject({ sent: 0, lost: 0 })
    expect(b.finite).toBe(false)
    expect(a.moved).toBeNull()
    expect(host.totals(0)).toMatchObject({ rx: { packets: 0, bytes: 0 }, tx: { packets: 0, bytes: 0 } })
    host.close()
    await loop
  })
})
