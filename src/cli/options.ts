/** The options several commands share, in one place. */
import { type Command, Option } from 'commander'
import { DRIVERS } from '../driver/registry.ts'
import { DEFAULTS, type Settings } from '../engine/settings.ts'
import type { Backend, PollMode } from '../engine/types.ts'
import { allowedCpus } from '../linux/affinity.ts'
import { isolatedCpus } from '../linux/numa.ts'
import { LOG_LEVELS } from './log.ts'
import {
  byteSize,
  cpuList,
  megapackets,
  oneOf,
  ringSize,
  seconds,
  share,
  usageError,
  wholeNumber,
} from '../option-values.ts'

/** Timers of Node.js hold 31 bits of milliseconds: 24 days. */
const MAX_SECONDS = 2_147_483

export interface OutputFlags {
  readonly json: boolean
  readonly quiet: boolean
  readonly color: boolean
  readonly logLevel: string
}

export interface WatchFlags extends OutputFlags {
  readonly duration?: number
  readonly interval: number
}

export interface RunFlags extends WatchFlags {
  /** 0: what suits the devices. */
  readonly batchSize: number
  readonly queues: number
  readonly perQueue: boolean
  readonly ringSize: number
  readonly mtu: number
  readonly mode: PollMode
  readonly backend?: Backend
  readonly cpus: readonly number[]
  readonly access?: 'sysfs' | 'vfio'
  readonly force: boolean
  readonly check: boolean
  readonly inspect: boolean
  readonly expectMpps?: number
  readonly expectLoss?: number
}

/** Options of every command that prints. */
export function addOutputOptions(command: Command): Command {
  return command
    .option('--json', 'one JSON object a line on stdout', false)
    .option('--no-color', 'no colours (also: NO_COLOR=1, or stdout not a terminal)')
    .addOption(
      oneOf(
        new Option(
          '--log-level <level>',
          `what to log on stderr (JSON lines unless a terminal; errors are plain lines): ${LOG_LEVELS.join(', ')}`,
        ).default('info'),
        LOG_LEVELS,
      ),
    )
}

/** Options of every command that shows counters over time. */
export function addWatchOptions(command: Command): Command {
  return addOutputOptions(
    command
      .option(
        '-d, --duration <time>',
        'end by itself after that time: 10 (seconds), 500ms, 2m, 1h (default: at a signal)',
        seconds('--duration', 0.001, MAX_SECONDS),
      )
      .option(
        '-i, --interval <time>',
        'time between two reports: 1 (second), 100ms, 1m',
        seconds('--interval', 0.01, MAX_SECONDS),
        DEFAULTS.interval,
      )
      .option('--quiet', 'print the summary only', false),
  )
}

export function queuesOption(): Option {
  return new Option(
    '-q, --queues <n>',
    'receive/transmit queue pairs per device, a worker each; they share out flows',
  )
    .default(DEFAULTS.queues)
    .argParser(wholeNumber('--queues', 1, DRIVERS.limits.queues))
}

export function accessOption(): Option {
  return oneOf(
    new Option('--access <way>', 'way to a PCI device: sysfs or vfio (default: what the system offers)'),
    ['sysfs', 'vfio'],
  )
}

/** Options of the commands that drive NICs. */
export function addRunOptions(command: Command): Command {
  const { limits } = DRIVERS
  return addWatchOptions(
    command
      .addOption(
        new Option('-b, --batch-size <packets>', 'packets per batch')
          .default(0, '32, with a tap: 128')
          .argParser(wholeNumber('--batch-size', 1, limits.ringSize.max - 1)),
      )
      .addOption(queuesOption())
      .option('--per-queue', 'print a line for each queue as well', false)
      .option(
        '--ring-size <n>',
        `descriptors per ring: a power of two from ${limits.ringSize.min} to ${limits.ringSize.max}`,
        ringSize(limits.ringSize),
        DEFAULTS.ringSize,
      )
      .option(
        '--mtu <bytes>',
        'largest packet after the Ethernet header',
        byteSize('--mtu', DEFAULTS.mtu, limits.mtu),
        DEFAULTS.mtu,
      )
      .addOption(
        oneOf(
          new Option(
            '--mode <mode>',
            'poll: always; interrupt: sleep until one; adaptive: poll under load (pktgen: poll only)',
          ).default(DEFAULTS.mode),
          ['poll', 'interrupt', 'adaptive'],
        ),
      )
      .addOption(
        oneOf(
          new Option(
            '--backend <name>',
            'inner loops in WebAssembly or TypeScript: wasm or ts (default: wasm, unless its address space is too small)',
          ),
          ['wasm', 'ts'],
        ),
      )
      .option('--cpus <list>', 'pin the workers to these CPUs: 2,3 or 2-5', cpuList, DEFAULTS.cpus)
      .addOption(accessOption())
      .option('--force', 'take a NIC that is in use or of an unknown model', false)
      .option(
        '--check',
        'check who owns each packet buffer, and all that is written to it; slow (also: IXY_TS_CHECK=1)',
        DEFAULTS.check,
      )
      .option(
        '--inspect',
        'virtual:<wire> devices verify checksums and name packet types, as ixy-ts vnic and cards do (slower)',
        false,
      ),
  )
    .option(
      '--expect-mpps <rate>',
      'exit 5 if all devices together send less on average (5, 5Mpps, 100kpps), or no packet',
      megapackets('--expect-mpps'),
    )
    .option(
      '--expect-loss <ratio>',
      'exit 5 if more than this share of the packets was lost or damaged (0.01 or 1%), none moved, or nobody can know',
      share('--expect-loss'),
    )
}

/** The part of RunOptions that is the same for every app. */
export function commonRunOptions(flags: RunFlags): Settings {
  if (flags.batchSize >= flags.ringSize) {
    throw usageError(
      `--batch-size ${flags.batchSize} doesn't fit a ring of ${flags.ringSize} descriptors`,
      `give at most ${flags.ringSize - 1}, or a larger --ring-size`,
    )
  }
  // Those that are isolated for such a purpose are nobody's by default.
  const allowed = [...new Set([...allowedCpus(), ...isolatedCpus()])].sort((a, b) => a - b)
  const absent = flags.cpus.find((cpu) => !allowed.includes(cpu))
  if (absent !== undefined) {
    throw usageError(`--cpus: this process can't run on CPU ${absent}`, `choose from ${allowed.join(', ')}`)
  }
  return {
    access: flags.access ?? null,
    batchSize: flags.batchSize === 0 ? null : flags.batchSize,
    queues: flags.queues,
    ringSize: flags.ringSize,
    duration: flags.duration ?? null,
    interval: flags.interval,
    mtu: flags.mtu,
    mode: flags.mode,
    backend: flags.backend ?? null,
    cpus: flags.cpus,
    force: flags.force,
    check: flags.check,
    inspect: flags.inspect,
  }
}
