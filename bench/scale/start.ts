/** From exec of bin/ixy-ts to the first packet that a card has counted, and what that costs of processor time. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Effort } from './effort.ts'
import { processes, threadSeconds } from '../lib/footprint.ts'

/** Set by run.mjs. */
const { BENCH_TOOL = '' } = process.env

const JOBS = {
  forward: ['forward', 'virtual:gen,rate=1Mpps', 'virtual:gen,rate=1Mpps'],
  pktgen: ['pktgen', 'virtual:sink', '--rate', '1Mpps'],
} as const

/** Counters are printed at this interval, seconds: the first packet is seen so much late at most, and a reading of all cards. */
const INTERVAL = '0.01'

export interface Start {
  readonly job: keyof typeof JOBS
  /** Milliseconds until the first packet was counted as sent by a card and printed: median, least, most of `starts`. */
  readonly firstPacket: number
  readonly least: number
  readonly most: number
  /** Until devices were ready and workers had their machine code. */
  readonly ready: number
  /** Seconds of processor time of all threads of both processes until then. */
  readonly cpu: number
  readonly starts: number
}

interface Sample {
  readonly ready: number
  readonly firstPacket: number
  readonly cpu: number
}

async function start(job: keyof typeof JOBS): Promise<Sample> {
  const began = performance.now()
  const args = [...JOBS[job], '--json', '--log-level', 'error', '-i', INTERVAL, '-d', '0.2']
  // Node.js reads these certificates whenever it starts; most machines have none.
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: undefined }
  const child = spawn(BENCH_TOOL, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
  const ended = new Promise((resolve) => child.once('close', resolve))
  let [ready, firstPacket, cpu] = [NaN, NaN, NaN]
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as { event: string; tx?: { packets: number } }
    if (event.event === 'start') {
      ready = performance.now() - began
      const seconds = processes(child.pid ?? 0).flatMap(threadSeconds)
      cpu = seconds.reduce((sum, one) => sum + one, 0)
    } else if (event.event === 'interval' && Number.isNaN(firstPacket) && (event.tx?.packets ?? 0) > 0)
      firstPacket = performance.now() - began
  }
  await ended
  if (Number.isNaN(firstPacket)) throw new Error(`ixy-ts ${args.join(' ')} has sent nothing`)
  return { ready, firstPacket, cpu }
}

export async function startup({ quick }: Effort): Promise<Start[]> {
  console.log('\nStart: from exec until the first packet is counted\n')
  const starts = quick ? 3 : 11
  const samples: Record<keyof typeof JOBS, Sample[]> = { forward: [], pktgen: [] }
  for (let i = 0; i < starts; i++)
    for (const job of ['forward', 'pktgen'] as const) samples[job].push(await start(job))
  return (['forward', 'pktgen'] as const).map((job) => {
    const sorted = (what: keyof Sample): number[] =>
      samples[job].map((one) => one[what]).sort((a, b) => a - b)
    const median = (what: keyof Sample): number => sorted(what)[starts >> 1]
    const times = sorted('firstPacket').map(Math.round)
    const cpu = Number(median('cpu').toFixed(3))
    console.log(
      `  ${job.padEnd(8)} ${Math.round(median('firstPacket'))} ms (${times[0]} to ${times[starts - 1]}), ready after ${Math.round(median('ready'))}, ${cpu} s of processor time until then; ${starts} starts`,
    )
    return {
      job,
      firstPacket: Math.round(median('firstPacket')),
      least: times[0],
      most: times[starts - 1],
      ready: Math.round(median('ready')),
      cpu,
      starts,
    }
  })
}
