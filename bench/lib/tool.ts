/** Runs bin/ixy-ts as a user would, and takes its NDJSON apart. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { WireReport } from '../../src/vnic/wires/wire.ts'

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
  readonly wires: readonly WireReport[]
  /** Each interval's devices, in order; packets are those of the interval. */
  readonly intervals: readonly (readonly PortTotals[])[]
  /** Milliseconds from the start of the process to the start of the data plane. */
  readonly startup: number
  /** Resident bytes when the data plane had started: of the program, and of its virtual NICs. */
  readonly resident: readonly number[]
  /** Everything on stdout that is not NDJSON. */
  readonly other: string
}

interface Event {
  readonly event: string
  readonly elapsed: number
  readonly devices: readonly PortTotals[]
  readonly virtual?: readonly { readonly wires: readonly WireReport[] }[]
  readonly error?: { readonly code: string; readonly message: string } | null
}

type Interval = PortTotals & Event

export interface ToolOptions {
  /** Starts what comes behind it in its own place: `taskset -c 0`. */
  readonly under?: readonly string[]
  /** Called when the data plane has started, and with each interval's first line. */
  readonly look?: (pids: readonly number[]) => void
}

/** `flags`: of Node.js. Rejects when the program fails. */
export async function runTool(
  args: readonly string[],
  flags: readonly string[] = [],
  { under = [], look = () => undefined }: ToolOptions = {},
): Promise<ToolRun> {
  const began = performance.now()
  const [program, ...rest] = [...under, process.execPath, ...flags, BENCH_TOOL, ...args]
  const child = spawn(program, [...rest, '--json', '--log-level', 'error'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  let startup = NaN
  let resident: number[] = []
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
      const pids = processes(child.pid ?? 0)
      resident = pids.map(residentBytes)
      look(pids)
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
  return { elapsed: end.elapsed, devices, wires, intervals, startup, resident, other }
}

/** The process and its children. */
function processes(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return [pid, ...(children === '' ? [] : children.split(' ').map(Number))]
}

/** Huge pages not included. */
function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) * 1024
}
