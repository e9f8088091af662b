/**
 * Filters as functions, beside `tcpdump -r FILE EXPRESSION -w -`: packet by packet. A tenth of the expressions each time; all of them
 * with IXY_FILTERS=all. IXY_FILTERS_SEED: other packets.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { compileFilter } from '../../../src/linux/pcap-library.ts'
import { makeFilter } from '../../../src/packet/filter/translate.ts'
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES } from '../../../src/packet/pcap.ts'
import { pcap } from '../../captures/build.ts'
import { describeIf, missing } from '../../skip.ts'
import { traffic } from '../traffic.ts'
import { EXPRESSIONS } from './expressions.ts'

const PACKETS = 5000
const seed = Number(process.env['IXY_FILTERS_SEED'] ?? 1)
const chosen = EXPRESSIONS.filter((_, i) => process.env['IXY_FILTERS'] === 'all' || i % 10 === seed % 10)

describeIf(missing({ programs: ['tcpdump'] }), 'filters and tcpdump', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ixy-filters-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test(`let the same of ${PACKETS} packets pass, ${chosen.length} filters, seed ${seed}`, () => {
    const packets = traffic(seed, PACKETS)
    const file = path.join(folder, 'in.pcap')
    // The time says which packet it is.
    const records = packets.map(({ data, wireLength }, seconds) => ({
      seconds,
      data,
      originalLength: wireLength,
    }))
    writeFileSync(file, pcap(records, { snapLength: 262_144 }))
    let some = 0
    for (const expression of chosen) {
      const filter = makeFilter(compileFilter(expression))
      const ours = [...packets.keys()].filter((i) => {
        const { data, wireLength } = packets[i]
        return filter(data, 0, data.length, wireLength)
      })
      const theirs = tcpdump(file, expression)
      if (ours.join() !== theirs.join())
        expect({ expression, packets: ours }).toEqual({ expression, packets: theirs })
      if (ours.length > 0 && ours.length < PACKETS) some++
    }
    expect(some).toBeGreaterThan(0.9 * chosen.length)
  }, 300_000)
})

/** The packets that it lets pass. */
function tcpdump(file: string, expression: string): number[] {
  const { status, stdout, stderr } = spawnSync('tcpdump', ['-r', file, '-w', '-', '--', expression], {
    maxBuffer: 2 ** 26,
  })
  if (status !== 0) throw new Error(`tcpdump ${expression}: ${stderr.toString()}`)
  const seen: number[] = []
  for (
    let at = FILE_HEADER_BYTES;
    at < stdout.length;
    at += RECORD_HEADER_BYTES + stdout.readUInt32LE(at + 8)
  )
    seen.push(stdout.readUInt32LE(at))
  return seen
}
