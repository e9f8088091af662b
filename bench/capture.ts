/** Into a file, beside dumpcap: at which rates all packets are in it. Needs root for dumpcap's hosts. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tidied } from './lib/clean-up.ts'
import { sh, within } from './lib/hosts.ts'
import { runTool } from './lib/tool.ts'
import { installed, TCPREPLAY } from './peers/contestant.ts'
import { Place, VETH } from './peers/place.ts'

const DUMPCAP = { program: 'dumpcap', package: 'wireshark-common' }
/** What ixy-ts has between its worker and the disk, for dumpcap as well, MiB. */
const BUFFER_MIB = '64'
const SECONDS = 3
/** Packets of a capture that is sent over and over. */
const CAPTURED = 4096

/** Rates that are tried, in turn, until not all is in the file, kpps. */
const RATES: Readonly<Record<number, readonly number[]>> = {
  60: [300, 500, 700, 1000, 1500, 2000, 3000],
  1514: [100, 200, 250, 300, 400, 500, 800],
}

interface Trial {
  readonly kpps: number
  /** Of what was sent, kpps: a sender may be too slow. */
  readonly sent: number
  /** In the file. */
  readonly share: number
}

export interface CaptureRun {
  readonly who: string
  readonly size: number
  readonly target: 'disk' | '/dev/null'
  readonly trials: readonly Trial[]
}

type Who = (place: Place, size: number, kpps: number, file: string) => Promise<Omit<Trial, 'kpps'>>

const ours: Who = async (_place, size, kpps, file) => {
  const gen = `virtual:gen,rate=${kpps}kpps,size=${size}`
  const options = ['--ring-size', '4096', '-d', String(SECONDS), '--quiet']
  const { capture, devices, wires, elapsed } = await runTool(['capture', gen, '-w', file, ...options])
  if (capture === null) throw new Error('capture has no totals')
  const { captured, dropped, unwritten } = capture
  const came = captured + dropped + unwritten + (devices[0].dropped.missed ?? 0)
  check(file, captured)
  return { sent: wires[0].counters.sent / elapsed / 1000, share: captured / came }
}

const dumpcap: Who = async (place, size, kpps, file) => {
  const [a, , b] = place.hosts
  const packets = join(place.folder, `${size}.pcap`)
  await runTool(['pktgen', `virtual:record=${packets}`, '--size', String(size), '--count', String(CAPTURED)])
  sh('ip', '-n', a, 'link', 'add', VETH, 'type', 'veth', 'peer', 'name', VETH, 'netns', b)
  for (const host of [a, b]) sh('ip', '-n', host, 'link', 'set', VETH, 'up')
  const [program, ...args] = within(b, 'dumpcap', '-q', '-B', BUFFER_MIB, '-i', VETH, '-w', file)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  place.children.push(child)
  let said = ''
  child.stderr.on('data', (data: Buffer) => (said += data.toString()))
  while (!said.includes('File:')) await once(child.stderr, 'data')
  const count = kpps * 1000 * SECONDS
  const began = performance.now()
  const limits = [`--pps=${kpps * 1000}`, `--limit=${count}`, '--loop=0', '--preload-pcap', '--quiet']
  const [replay, ...words] = within(a, 'tcpreplay', `--intf1=${VETH}`, ...limits, packets)
  const sender = spawn(replay, words, { stdio: 'ignore' })
  place.children.push(sender)
  await once(sender, 'exit')
  const seconds = (performance.now() - began) / 1000
  // A block of its ring that isn't full is handed over late, and not at all at the end.
  await sleep(1000)
  const ended = once(child, 'close')
  child.kill('SIGINT')
  await ended
  const { tx } = place.counters(0, VETH)
  const captured = Number(/Packets received\/dropped on interface '.*?': (\d+)\//.exec(said)?.[1] ?? NaN)
  check(file, captured)
  sh('ip', '-n', a, 'link', 'del', VETH)
  return { sent: tx / seconds / 1000, share: captured / tx }
}

/** The file has as many packets as its writer says. */
function check(file: string, captured: number): void {
  if (file === '/dev/null') return
  const [, found] = sh('capinfos', '-cMT', file).trim().split('\n')[1].split('\t')
  rmSync(file)
  if (Number(found) !== captured) throw new Error(`${captured} packets captured, ${found} in ${file}`)
}

export function captures(quick: boolean): Promise<CaptureRun[]> {
  const place = new Place()
  const contestants: [string, Who][] = [['ixy-ts capture', ours]]
  const missing = [DUMPCAP, TCPREPLAY].find((program) => !installed(program))
  if (missing === undefined) contestants.push(['dumpcap', dumpcap])
  else console.log(`  skipped: dumpcap: no ${missing.program} (Debian: apt install ${missing.package})`)
  const work = async (): Promise<CaptureRun[]> => {
    place.addHosts()
    console.log(`\nAll in the file, in ${SECONDS} s\n`)
    const runs: CaptureRun[] = []
    for (const size of [60, 1514]) {
      for (const target of ['/dev/null', 'disk'] as const) {
        for (const [who, measure] of contestants) {
          const file = target === 'disk' ? join(place.folder, 'captured.pcapng') : target
          const trials: Trial[] = []
          for (const kpps of quick ? RATES[size].slice(0, 1) : RATES[size]) {
            const trial = { kpps, ...(await measure(place, size, kpps, file)) }
            trials.push(trial)
            if (trial.share < 1) break
          }
          runs.push({ who, size, target, trials })
          const text = trials.map(
            ({ sent, share }) => `${sent.toFixed(0)} kpps ${(share * 100).toFixed(1)} %`,
          )
          console.log(`  ${size} bytes, ${target}, ${who}: ${text.join(', ')}`)
        }
      }
    }
    return runs
  }
  return tidied(work, () => place.remove())
}
