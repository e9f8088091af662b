/** Everything that a tunnel's end sends, as tshark reads it: what it is, and not a complaint. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CaptureFile } from '../../../src/captures/files.ts'
import type { TunnelFlags } from '../../../src/apps/tunnel/options.ts'
import { describeIf, missing } from '../../skip.ts'
import { bothEnds, carry, innerFrame } from './rig.ts'

const PORTS = { port: 5555, port6: 5556 }
const KINDS: [string, RegExp, 4 | 6, Partial<TunnelFlags>][] = [
  ['VXLAN over IPv4', /udp:vxlan:eth/, 4, { encap: 'vxlan', vni: 0xabcdef }],
  ['VXLAN over IPv4 with checksums', /udp:vxlan:eth/, 4, { encap: 'vxlan', vni: 0, udpChecksum: true }],
  ['VXLAN over IPv6 in a VLAN', /udp:vxlan:eth/, 6, { encap: 'vxlan', vni: 42, vlan: 7 }],
  ['Geneve over IPv4', /udp:geneve:eth/, 4, { encap: 'geneve', vni: 42, udpChecksum: true, dscp: 'inherit' }],
  ['Geneve over IPv6', /udp:geneve:eth/, 6, { encap: 'geneve', vni: 0xffffff }],
  ['FOU over IPv4', /udp:ip/, 4, { encap: 'fou', ...PORTS, udpChecksum: true }],
  ['FOU over IPv6', /udp:ip/, 6, { encap: 'fou', ...PORTS }],
]
const CHECKS = ['ip', 'udp', 'tcp'].map((name) => `${name}.check_checksum:TRUE`)
/** Values of tshark's for a severity: an error. */
const ERROR = 0x800000
const WARNING = 0x600000
const BAD = '0'

describeIf(missing({ programs: ['tshark'] }), 'tshark', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-test-'))
  const file = path.join(directory, 'all.pcap')
  const inner = ([4, 6] as const).flatMap((version) =>
    [0, 1, 2, 3, 18, 19, 500, 1371, 1372].map((payloadBytes) => ({ version, payloadBytes })),
  )
  /** A question, its answer, what carries something, and two errors about what is too big. */
  const framesPerKind = inner.length + 4
  let lines: string[][]

  beforeAll(() => {
    const capture = new CaptureFile(file)
    for (const [, , ip, flags] of KINDS) {
      const [a, b] = bothEnds(ip, flags)
      const toMac = a.job.innerMac
      const frames = inner.map(({ version, payloadBytes }) =>
        innerFrame(version, {
          payloadBytes,
          toMac,
          trafficClass: payloadBytes & 3,
          sourcePort: 2000 + payloadBytes,
        }),
      )
      const large = ([4, 6] as const).map((version) => innerFrame(version, { payloadBytes: 1460, toMac }))
      const { wire, back } = carry(a, b, ...frames, ...large)
      for (const frame of [...wire, ...back]) capture.write(frame)
    }
    capture.close()
    const fields = [
      '_ws.malformed',
      '_ws.expert.severity',
      'ip.checksum.status',
      'udp.checksum.status',
      'udp.length',
      'frame.protocols',
    ]
    const decode = ['-d', 'udp.port==5555,ip', '-d', 'udp.port==5556,ipv6']
    const options = [
      ...CHECKS.flatMap((check) => ['-o', check]),
      ...decode,
      ...fields.flatMap((field) => ['-e', field]),
    ]
    const { status, stdout, stderr } = spawnSync('tshark', ['-n', '-r', file, ...options, '-T', 'fields'], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
    lines = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'))
  }, 60_000)
  afterAll(() => rmSync(directory, { recursive: true }))

  test('has seen all', () => {
    expect(lines).toHaveLength(KINDS.length * framesPerKind)
  })

  test.each(KINDS.map(([name, protocol], kind) => ({ name, protocol, kind })))(
    '$name',
    ({ protocol, kind }) => {
      const ours = lines.slice(kind * framesPerKind, (kind + 1) * framesPerKind)
      const complaints = ours.filter(
        ([malformed, severity, ipChecksum, udpChecksum]) =>
          malformed !== '' ||
          severity.split(',').some((value) => Number(value) >= WARNING && Number(value) <= ERROR) ||
          [ipChecksum, udpChecksum].some((statuses) => statuses.split(',').includes(BAD)),
      )
      expect(complaints).toEqual([])
      // The inner datagrams are whole: both lengths are there, behind each other.
      const carrying = ours.filter(
        ([, , , , , protocols]) => protocol.test(protocols) && !/icmp/.test(protocols),
      )
      const lengths = carrying.map(([, , , , both]) => Number(both.split(',')[1]))
      expect(lengths).toEqual(inner.map(({ payloadBytes }) => payloadBytes + 8))
    },
  )
})
