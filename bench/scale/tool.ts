/** The whole program between virtual NICs with more queues, devices, flows, descriptors and bytes: rate, memory, start-up. */
import type { Effort } from './effort.ts'
import { type ToolRun, runTool } from '../lib/tool.ts'

/** Set by run.mjs. */
const { BENCH_PAIRS = '' } = process.env

/** Seconds at the start of a run that don't count, and that do. */
const WARM_UP = 1
const MEASURED = 2

export interface Point {
  /** How many queues, devices, … */
  readonly x: number
  /** Sum of what all devices send, and of each worker if there are several. */
  readonly mpps: number
  /** Resident memory of the program and of its virtual NICs that is theirs alone, KiB. */
  readonly ownKib: readonly number[]
  /** Of the memory for packets and rings, which they share: in ordinary pages, and in huge ones. */
  readonly sharedKib: number
  readonly hugeKib: number
  /** Milliseconds from the start of the process to the start of the data plane. */
  readonly startup: number
  readonly lost: number
}

export interface Spread {
  readonly flows: number
  readonly queues: number
  readonly packets: number
  /** Packets of the queue that got most, times the number of queues, by all packets: 1 is even. */
  readonly busiest: number
}

async function measure(x: number, quick: boolean, args: readonly string[]): Promise<Point> {
  const seconds = quick ? 1 : MEASURED
  const run = await runTool([...args, '-i', String(WARM_UP), '-d', String(WARM_UP + seconds)])
  const counted = run.intervals.slice(1, 1 + seconds).flat()
  const mpps = counted.reduce((sum, { tx }) => sum + tx.packets, 0) / seconds / 1e6
  const kib = (bytes: number): number => Math.round(bytes / 1024)
  const { footprints, startup } = run
  const point = {
    x,
    mpps: Number(mpps.toFixed(3)),
    ownKib: footprints.map(({ anonymous, file }) => kib(anonymous + file)),
    sharedKib: kib(footprints.reduce((sum, { shared }) => sum + shared, 0)),
    hugeKib: kib(Math.max(...footprints.map(({ huge }) => huge))),
    startup: Math.round(startup),
    lost: lostIn(run),
  }
  const own = point.ownKib.map((one) => Math.round(one / 1024)).join(' + ')
  const shared = Math.round((point.sharedKib + point.hugeKib) / 1024)
  console.log(
    `  ${String(x).padStart(6)}: ${point.mpps.toFixed(2).padStart(6)} Mpps, ${own} MiB and ${shared} shared, started in ${point.startup} ms, ${point.lost} lost`,
  )
  return point
}

/** What generators have sent and nobody has received; of a sink, what it has not seen. */
function lostIn({ wires, devices }: ToolRun): number {
  return wires.reduce(
    (sum, { counters }, i) => sum + (counters.lost ?? devices[i].tx.packets - counters.arrived),
    0,
  )
}

async function sweep(
  title: string,
  { quick }: Effort,
  values: readonly number[],
  args: (x: number) => readonly string[],
): Promise<Point[]> {
  console.log(`\n${title}\n`)
  const points: Point[] = []
  for (const x of values) points.push(await measure(x, quick, args(x)))
  return points
}

const twice = (wire: string): string[] => [`virtual:${wire}`, `virtual:${wire}`]

export function queues(effort: Effort): Promise<Point[]> {
  const wire = 'gen,rate=max,flows=64'
  return sweep('Queues (workers): forward, 60 bytes, 64 flows', effort, [1, 2, 4, 8], (count) => [
    ...['forward', ...twice(wire), '-q', String(count)],
  ])
}

export function devices(effort: Effort): Promise<Point[]> {
  const devicesOf = (count: number): string[] => Array<string>(count).fill('virtual:gen,rate=max')
  return sweep(
    'Devices, in pairs, one worker: an app of its own, 60 bytes',
    effort,
    [2, 4, 6, 8],
    (count) => [...['run', BENCH_PAIRS, ...devicesOf(count)]],
  )
}

export function rings(effort: Effort): Promise<Point[]> {
  const sizes = [64, 128, 256, 512, 1024, 2048, 4096]
  return sweep('Descriptors per ring: forward, 60 bytes', effort, sizes, (size) => [
    ...['forward', ...twice('gen,rate=max'), '--ring-size', String(size)],
  ])
}

export function frames(effort: Effort): Promise<Point[]> {
  const sizes = [60, 128, 256, 512, 1024, 1514, 4096, 9014]
  return sweep('Bytes per packet: forward', effort, sizes, (size) => [
    ...['forward', ...twice(`gen,rate=max,size=${size}`), ...(size > 1514 ? ['--mtu', '9000'] : [])],
  ])
}

/** So many source addresses: one packet of each in turn. */
const addresses = (count: number): string[] =>
  count === 1 ? [] : ['--src-ip', `10.0.0.0/${32 - Math.log2(count)}`]

export async function flows(effort: Effort): Promise<{ points: Point[]; spread: Spread[] }> {
  const counts = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536]
  const generated = counts.filter((_, i) => i % 2 === 0)
  const points = await sweep('Flows: pktgen, 60 bytes', effort, generated, (count) => [
    ...['pktgen', 'virtual:sink', '--rate', 'max', ...addresses(count)],
  ])
  console.log('\nFlows that come back to eight queues (RSS)\n')
  const spread: Spread[] = []
  for (const count of counts) spread.push(await spreadOf(count, 8))
  return { points, spread }
}

/** Each flow sends as often as any other. */
async function spreadOf(flows: number, queues: number): Promise<Spread> {
  const packets = 2 * 65_536
  const args = ['pktgen', 'virtual:loop', '--rate', '500kpps', '-n', String(packets), '-q', String(queues)]
  const run = await runTool([...args, ...addresses(flows)])
  const received = run.queues.map(({ rx }) => rx.packets)
  const all = received.reduce((sum, count) => sum + count, 0)
  const busiest = (Math.max(...received) * queues) / all
  console.log(`  ${String(flows).padStart(6)}: ${received.join(' ')} of ${packets}`)
  return { flows, queues, packets: all, busiest: Number(busiest.toFixed(3)) }
}
