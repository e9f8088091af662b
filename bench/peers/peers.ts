/** ixy-ts beside what people would take instead: on the same cores, in turn. */
import { tidied } from '../lib/clean-up.ts'
import { median } from '../lib/t-test.ts'
import { type Contestant, installed, type Program } from './contestant.ts'
import { FORWARDERS } from './forwarders.ts'
import { Place } from './place.ts'
import type { Sample } from './sample.ts'
import { SENDERS } from './senders.ts'

export interface PeerResult {
  readonly name: string
  /** In the order of the rounds. */
  readonly samples: readonly Sample[]
}

export interface PeersResult {
  readonly seconds: number
  readonly hugepages: boolean
  readonly contestants: readonly PeerResult[]
}

/** What contestants do. */
const CONTESTS = {
  forward: { title: 'Passing 60-byte packets on', contestants: FORWARDERS },
  send: { title: 'Generating 60-byte packets', contestants: SENDERS },
} as const
type Contest = keyof typeof CONTESTS

/** Contestants take turns; who begins changes from round to round. */
async function contest(
  contestants: readonly Contestant[],
  place: Place,
  rounds: number,
  seconds: number,
): Promise<PeerResult[]> {
  const able = contestants.filter(({ name, needs }) => {
    const missing = needs.find((program: Program) => !installed(program))
    if (missing !== undefined)
      console.log(`  skipped: ${name}: no ${missing.program} (Debian: apt install ${missing.package})`)
    return missing === undefined
  })
  const samples = able.map((): Sample[] => [])
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < able.length; turn++) {
      const who = (turn + round) % able.length
      samples[who].push(await able[who].measure(place, seconds))
      await place.clear()
    }
  }
  return able.map(({ name }, i) => ({ name, samples: samples[i] }))
}

export function peers(what: Contest, rounds: number, seconds: number): Promise<PeersResult> {
  const place = new Place()
  return tidied(
    async () => {
      place.addHosts()
      const contestants = await contest(CONTESTS[what].contestants, place, rounds, seconds)
      const result = { seconds, hugepages: place.hugepages, contestants }
      print(CONTESTS[what].title, result)
      return result
    },
    () => place.remove(),
  )
}

const spread = (values: readonly number[], digits: number): string =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`
const mpps = ({ packets, seconds }: Sample): number => packets / seconds / 1e6

/** Of each, and how many times as fast the first is: by round. */
function print(title: string, { hugepages, contestants }: PeersResult): void {
  console.log(`\n${title}, huge pages ${hugepages ? 'reserved' : 'not to be had'}: median (lowest–highest)\n`)
  const columns = ['Mpps', 'cores', 'CPU s per million', 'first is faster by']
  console.log(''.padEnd(40) + columns.map((column) => column.padStart(24)).join(''))
  for (const { name, samples } of contestants) {
    const cells = [
      spread(samples.map(mpps), 2),
      spread(
        samples.map(({ cpuSeconds, seconds }) => cpuSeconds / seconds),
        2,
      ),
      spread(
        samples.map(({ cpuSeconds, packets }) => (cpuSeconds / packets) * 1e6),
        3,
      ),
      spread(
        samples.map((sample, round) => mpps(contestants[0].samples[round]) / mpps(sample)),
        2,
      ),
    ]
    const lost = samples.flatMap(({ lost: share }) => (share === undefined ? [] : share * 100))
    const note = lost.length === 0 ? '' : `   lost ${spread(lost, 1)} %`
    console.log(name.padEnd(40) + cells.map((cell) => cell.padStart(24)).join('') + note)
  }
}
