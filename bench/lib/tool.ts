/** Runs bin/ixy-ts as a user would, and takes its NDJSON apart. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { WireReport } from '../../src/vnic/wires/wire.ts'
import { type Footprint, footprints, processes } from './footprint.ts'

/** Set by run.mjs. */
const { BENCH_TOOL = '' } = process.env

export interface PortTotals {
  readonly index: number
  /** null: the whole device. */
  readonly queue: number | null
  readonly rx: { readonly packets: number; readonly mpps: number }
  readonly tx: { readonly packets: number; readonly mpps: number }
  readonly dropped: Readonly<Record<string, number>>
}

export interface ToolRun {
  /** Seconds of forwarding. */
  readonly elapsed: number
  readonly devices: readonly PortTotals[]
  /** One for each queue of each device; none if there is one queue. */
  readonly queues: readonly PortTotals[]
  readonly wires: readonly WireReport[]
  /** Of the command `capture`, else null. */
  readonly capture: Readonly<Record<'captured' | 'dropped' | 'unwritten', number>> | null
  /** Each interval's devices, in order; packets are those of the interval. */
  readonly intervals: readonly (readonly PortTotals[])[]
  /** Milliseconds from the start of the process to the start of the data plane. */
  readonly startup: number
  /** When the data plane had started: of the program, and of its virtual NICs. */
  readonly footprints: readonly Footprint[]
  /** Everything on stdout that is not NDJSON. */
  readonly other: string
}

interface Event {
  readonly event: string
  readonly elapsed: number
  readonly devices: readonly PortTotals[]
  readonly virtual?: readonly { readonly wires: readonly WireReport[] }[]
  readonly capture?: ToolRun['capture']
  readonly error?: { readonly code: string; readonly message: string } | null
}

type Interval = PortTotals & Event

export interface ToolOptions {
  /** Starts what comes behind it in its own place: `taskset -c 0`. */
  readonly under?: readonly string[]
  /** Called when the data plane has started, and with each interval's first line. */
  readonly look?: (pids: readonly number[]) => void
}

/** A run under way. */
export interface Running {
  readonly pid: number
  /** Resolves when the data plane has started. Rejects when the program ends before. */
  readonly started: Promise<void>
  /** Rejects when the program fails. */
  readonly result: Promise<ToolRun>
}

/** `flags`: of Node.js. Rejects when the program fails. */
export function runTool(
  args: readonly string[],
  flags: readonly string[] = [],
  options: ToolOptions = {},
): Promise<ToolRun> {
  return startTool(args, flags, options).result
}

export function startTool(
  args: readonly string[],
  flags: readonly string[] = [],
  { under = [], look = () => undefined }: ToolOptions = {},
): Running {
  const began = performance.now()
  const [program, ...rest] = [...under, process.execPath, ...flags, BENCH_TOOL, ...args]
  const child = spawn(program, [...rest, '--json', '--log-level', 'error'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = child.pid ?? 0
  let tellStarted: () => void = () => undefined
  const started = new Promise<void>((resolve) => (tellStarted = resolve))
  const result = follow(child, args, began, tellStarted, look)
  const startedOrFailed = Promise.race([started, result.then(() => undefined)])
  // Who waits for the result hears of a failure there.
  startedOrFailed.catch(() => undefined)
  return { pid, started: startedOrFailed, result }
}

async function follow(
  child: ChildProcessByStdio<null, Readable, null>,
  args: readonly string[],
  began: number,
  tellStarted: () => void,
  look: (pids: readonly number[]) => void,
): Promise<ToolRun> {
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  let startup = NaN
  let atStart: Footprint[] = []
  let end: Event | null = null
  let other = ''
  const intervals: PortTotals[][] = []
  for await (const line of createInterface({ input: child.stdout })) {
    // V8's own reports go to stdout in blocks that may end anywhere.
    const at = line.indexOf('{"event":')
    other += at < 0 ? `${line}\n` : line.slice(0, at)
    if (at < 0) continue
    const event = JSON.parse(line.slice(at)) as Event
    if (event.event === 'start') {
      startup = performance.now() - began
      atStart = footprints(child.pid ?? 0)
      tellStarted()
      look(processes(child.pid ?? 0))
    } else if (event.event === 'interval') {
      const { index, queue } = event as Interval
      if (queue !== null) continue
      if (index === 0) {
        intervals.push([])
        look(processes(child.pid ?? 0))
      }
      intervals.at(-1)?.push(event as Interval)
    } else if (event.event === 'end') end = event
  }
  const code = await ended
  if (end === null || end.error) {
    throw new Error(`ixy-ts ${args.join(' ')}: ${end?.error?.message ?? `exit code ${code}`}`)
  }
  const wires = (end.virtual ?? []).flatMap((nic) => nic.wires)
  const devices = end.devices.filter(({ queue }) => queue === null)
  const queues = end.devices.filter(({ queue }) => queue !== null)
  const capture = end.capture ?? null
  return {
    elapsed: end.elapsed,
    devices,
    queues,
    wires,
    capture,
    intervals,
    startup,
    footprints: atStart,
    other,
  }
}
