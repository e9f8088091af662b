/** Lines of packets beside those of `tcpdump -n -S`. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describePacket, packetFields } from '../../../src/packet/decode/describe.ts'
import { EtherType } from '../../../src/packet/ethernet.ts'
import { pcap } from '../../captures/build.ts'
import { describeIf, missing } from '../../skip.ts'
import { type SeenPacket, Traffic, UNKNOWN_PORTS } from '../traffic.ts'

const seed = Number(process.env['IXY_DECODE_SEED'] ?? 1)
/** ICMP, TCP, UDP, ICMPv6, and one that is nothing. */
const PROTOCOLS = new Set([1, 6, 17, 58, 200])

describeIf(missing({ programs: ['tcpdump'] }), 'a packet in one line', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ixy-decode-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** What tcpdump says of each, on several lines for some. */
  function tcpdump(packets: readonly SeenPacket[]): string[] {
    const file = path.join(folder, 'in.pcap')
    const records = packets.map(({ data, wireLength }, seconds) => ({
      seconds,
      data,
      originalLength: wireLength,
    }))
    writeFileSync(file, pcap(records))
    const { stdout } = spawnSync('tcpdump', ['-n', '-tt', '-S', '-r', file], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    })
    const lines: string[] = []
    for (const [, second, line] of stdout.matchAll(/^(\d+)\.0{6} (.*(?:\n\t.*)*)$/gm))
      lines[Number(second)] = line
    return lines
  }

  test('says of whole packets what tcpdump says', () => {
    const traffic = new Traffic(seed, UNKNOWN_PORTS)
    const all = Array.from({ length: 3000 }, () => Uint8Array.from(traffic.frame()))
    const packets = all
      .filter((data) => {
        const { ethernet, arp, ip, cut } = packetFields(data, 0, data.length, data.length)
        if (cut !== undefined) return false
        if (ip !== undefined) return PROTOCOLS.has(ip.protocol)
        return ethernet?.type === EtherType.ARP && arp !== undefined
      })
      .map((data) => ({ data, wireLength: data.length }))
    expect(packets.length).toBeGreaterThan(1500)
    const theirs = tcpdump(packets)
    const wrong = packets.flatMap(({ data, wireLength }, i) => {
      // Tags are shown here only; tcpdump has blanks to spare.
      const ours = describePacket(data, 0, data.length, wireLength).replace(
        /^(vlan [^,]*, p \d(, DEI)?, )*/,
        '',
      )
      const other = theirs[i].replace(/ +/g, ' ')
      return ours === other ? [] : [{ ours, other }]
    })
    expect(wrong.slice(0, 20)).toEqual([])
  })
})
