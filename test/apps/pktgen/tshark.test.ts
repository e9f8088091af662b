/** What pktgen sends, as tshark reads it: a random sample of all that can be asked for, and not a complaint. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { CaptureFile } from '../../../src/captures/files.ts'
import { GeneratedFrames } from '../../../src/apps/pktgen/frame-source.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import type { Shape } from '../../../src/apps/pktgen/templates/shape.ts'
import { describeIf, missing } from '../../skip.ts'
import { POOL, makeMemory, packet } from './memory.ts'
import { shapes } from './shapes.ts'

const SHAPES = 300
const FRAMES_EACH = 24
/** Values of tshark's for a severity. */
const WARNING = 0x600000
const ERROR = 0x800000
const BAD = '0'

const FIELDS = [
  '_ws.malformed',
  '_ws.expert.severity',
  'ip.checksum.status',
  'udp.checksum.status',
  'tcp.checksum.status',
  'icmp.checksum.status',
  'icmpv6.checksum.status',
  'frame.protocols',
  'vlan.id',
  'ieee8021ad.id',
  'vxlan.vni',
  'ip.src',
  'ipv6.src',
  'udp.srcport',
  'tcp.srcport',
  'tcp.flags',
] as const
type Read = Record<(typeof FIELDS)[number], string>

/** What tshark is to make of the headers. */
function protocolsOf({ template }: Shape): RegExp {
  const ends = ({ vlans, sourceIp }: { vlans: readonly number[]; sourceIp: Uint8Array }): string =>
    `eth:ethertype:${['', 'vlan:ethertype:', 'ieee8021ad:ethertype:vlan:ethertype:'][vlans.length]}${sourceIp.length === 4 ? 'ip' : 'ipv6'}`
  const outer = template.vxlan === null ? '' : `${ends(template.vxlan)}:udp:vxlan:`
  const echo = template.sourceIp.length === 4 ? 'icmp' : 'icmpv6'
  return new RegExp(`^${outer}${ends(template)}:${template.protocol === 'icmp' ? echo : template.protocol}`)
}

describeIf(missing({ programs: ['tshark'] }), 'tshark', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-test-'))
  const file = path.join(directory, 'all.pcap')
  const sample = fc.sample(shapes, SHAPES)
  let read: Read[]

  beforeAll(() => {
    const capture = new CaptureFile(file)
    const batch = new Int32Array(FRAMES_EACH)
    for (const { template, sizes, counts, order, seed } of sample) {
      const memory = makeMemory()
      const plan = planFrames(template, sizes, counts, order, seed)
      const source = new GeneratedFrames(memory, POOL, plan, { index: 3, of: 4 })
      expect(source.next(batch, FRAMES_EACH)).toBe(FRAMES_EACH)
      for (const id of batch) capture.write(packet(memory, id))
    }
    capture.close()
    const checks = ['ip', 'udp', 'tcp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`])
    // Random flags make no sense to whom follows a connection.
    const options = [...checks, '-o', 'tcp.analyze_sequence_numbers:FALSE', '-T', 'fields']
    const fields = FIELDS.flatMap((field) => ['-e', field])
    const { status, stdout, stderr } = spawnSync('tshark', ['-n', '-r', file, ...options, ...fields], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    })
    if (status !== 0) throw new Error(stderr)
    read = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const values = line.split('\t')
        return Object.fromEntries(FIELDS.map((field, i) => [field, values[i]])) as Read
      })
  }, 120_000)
  afterAll(() => rmSync(directory, { recursive: true }))

  test('has nothing to complain of', () => {
    expect(read).toHaveLength(SHAPES * FRAMES_EACH)
    const complaints = read.filter(
      (line) =>
        line['_ws.malformed'] !== '' ||
        line['_ws.expert.severity'].split(',').some((value) => {
          const severity = Number(value) & 0xf00000
          // SYN, FIN and RST are remarked on as they come.
          return severity === ERROR || (severity === WARNING && line['tcp.flags'] === '')
        }) ||
        FIELDS.filter((field) => field.endsWith('checksum.status')).some((field) =>
          line[field].split(',').includes(BAD),
        ),
    )
    expect(complaints.slice(0, 3)).toEqual([])
  })

  test('finds the headers that were asked for', () => {
    sample.forEach((shape, i) => {
      const lines = read.slice(i * FRAMES_EACH, (i + 1) * FRAMES_EACH)
      const { template } = shape
      const tagged = [template.vxlan?.vlans ?? [], template.vlans].filter(({ length }) => length > 0)
      const outermost = tagged.flatMap((ids) => ids.slice(0, -1)).join(',')
      const last = tagged.flatMap((ids) => ids.slice(-1)).join(',')
      const wrong = lines.filter(
        (line) =>
          !protocolsOf(shape).test(line['frame.protocols']) ||
          line['vlan.id'] !== last ||
          line['ieee8021ad.id'] !== outermost ||
          (template.vxlan !== null && line['vxlan.vni'] !== String(template.vxlan.vni)) ||
          (template.protocol === 'tcp' && Number(line['tcp.flags']) !== template.tcpFlags),
      )
      expect(wrong.slice(0, 2)).toEqual([])
    })
  })

  test('sees the checksums that there are to be', () => {
    const of = (wanted: (shape: Shape) => boolean, field: keyof Read): Set<string> =>
      new Set(
        sample.flatMap((shape, i) =>
          wanted(shape) ? read.slice(i * FRAMES_EACH, (i + 1) * FRAMES_EACH).map((line) => line[field]) : [],
        ),
      )
    const plain = ({ template }: Shape): boolean => template.vxlan === null
    // 1: good; 3: there is none.
    expect(of((shape) => plain(shape) && shape.template.protocol === 'tcp', 'tcp.checksum.status')).toEqual(
      new Set(['1']),
    )
    const udp = (checksum: boolean) => (shape: Shape) =>
      plain(shape) && shape.template.protocol === 'udp' && shape.template.udpChecksum === checksum
    expect(of(udp(true), 'udp.checksum.status')).toEqual(new Set(['1']))
    expect(of(udp(false), 'udp.checksum.status')).toEqual(new Set(['3']))
  })
})
