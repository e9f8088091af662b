/** Whether memory grows while packets flow. */
import { type Footprint, footprints, resident } from '../lib/footprint.ts'
import { startTool } from '../lib/tool.ts'

/** Of each of the two generators. Little enough for the run to sleep most of the time, and to be run beside other work. */
const RATE = '10kpps'
/** Seconds between two looks: at first, and from BEGINNING on. */
const LOOK_FIRST = 1
const LOOK_LATER = 10
const BEGINNING = 60

export interface MemorySample {
  /** Seconds since packets flow. */
  readonly at: number
  /** Of the program, and of its virtual NICs. */
  readonly processes: readonly Footprint[]
}

export interface MemoryOverTime {
  readonly rate: string
  /** From the start of packets to the last look. */
  readonly seconds: number
  /** null: the run has failed, so that nobody knows. */
  readonly packets: number | null
  readonly lost: number | null
  readonly samples: readonly MemorySample[]
}

/** Forwards for so many seconds in both directions, and looks at the memory now and then. */
export async function memoryOverTime(seconds: number): Promise<MemoryOverTime> {
  const gen = `virtual:gen,rate=${RATE}`
  const tool = startTool(['forward', gen, gen, '--mode', 'adaptive', '-i', '60', '-d', String(seconds)])
  await tool.started
  const began = performance.now()
  const samples: MemorySample[] = []
  const look = (): number => {
    const at = (performance.now() - began) / 1000
    samples.push({ at: Number(at.toFixed(1)), processes: footprints(tool.pid) })
    return at
  }
  let timer: NodeJS.Timeout | undefined
  const lookAgain = (): void => {
    const at = look()
    timer = setTimeout(lookAgain, (at < BEGINNING ? LOOK_FIRST : LOOK_LATER) * 1000)
  }
  lookAgain()
  const run = await tool.result.catch((error: unknown) => {
    // What was seen until then has been seen.
    console.error(error)
    return null
  })
  clearTimeout(timer)
  const complete = samples.filter(({ at, processes }) => at < seconds && processes.length === 2)
  const packets = run?.devices.reduce((sum, { tx }) => sum + tx.packets, 0) ?? null
  const lost = run?.wires.reduce((sum, { counters }) => sum + counters.lost, 0) ?? null
  const mebibytes = ({ processes }: MemorySample): string =>
    processes.map((one) => (resident(one) / 2 ** 20).toFixed(1)).join(' and ')
  const middle = complete[complete.length >> 1]
  const last = complete[complete.length - 1]
  console.log(
    `  ${Math.round(last.at)} s, ${packets} packets, ${lost} lost: program and virtual NICs take ${mebibytes(complete[0])} MiB at first, ` +
      `${mebibytes(middle)} after ${Math.round(middle.at)} s, ${mebibytes(last)} at the end`,
  )
  return { rate: RATE, seconds: last.at, packets, lost, samples: complete }
}
