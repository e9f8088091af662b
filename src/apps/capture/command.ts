import type { Command } from 'commander'
import { statSync } from 'node:fs'
import { isatty } from 'node:tty'
import { isStandardStream, shownName, toPath } from '../../captures/file-name.ts'
import { ONE_FILE } from '../../captures/file-limits.ts'
import { usageError } from '../../errors.ts'
import { byteSize, count, offering } from '../../option-values.ts'
import { MAX_CAPTURED_BYTES } from '../../packet/pcap.ts'
import type { AppCommand } from '../command.ts'
import { capture } from './app.ts'
import { addCondition, CONDITIONS, type Conditions, limitsOf } from './conditions.ts'
import { type CaptureResult, findingsOf } from './findings.ts'
import type { CaptureOptions } from './options.ts'
import { MOST } from './quota.ts'

const EXAMPLES = `
Examples:
  sudo ixy-ts capture 0000:03:00.0 icmp or arp                            a line for each, as tcpdump's
  sudo ixy-ts capture 0000:03:00.0 -w out.pcapng                          until Ctrl-C
  ixy-ts capture virtual:gen,count=1000 -w out.pcapng -c 100              no hardware needed
  sudo ixy-ts capture 03:00.0 -w out.pcapng -s 128 -a duration:1m udp port 53
  sudo ixy-ts capture 03:00.0 -w out.pcapng -b filesize:100000 -b files:10  the newest gigabyte, in ten files
  ixy-ts capture virtual:gen,rate=10kpps -w - -c 1000 | tshark -r -
  ixy-ts capture virtual:gen,rate=10pps --json -c 3                        with what is in each packet
  ixy-ts capture virtual:gen -d 5 --quiet udp                             counts them only
As dumpcap's, but for -q, which is --queues here (--quiet is quiet), and -b <number>, which is --batch-size.
An existing file is overwritten when packets begin to flow. docs/capture.md explains what is counted.`

/** Its own, and those of every run that it has something to say about. */
interface CaptureFlags {
  readonly write?: string
  readonly pcap: boolean
  readonly snaplen: number
  readonly filter?: string
  readonly count?: number
  readonly autostop?: Conditions
  readonly ringBuffer?: Conditions
  readonly quiet: boolean
  readonly json: boolean
}

export const captureCommand: AppCommand<CaptureOptions, CaptureFlags> = {
  app: capture,
  description: 'Record what a device receives, or show it',
  devices: [
    ['device', 'PCI address, vfio-user:<socket>, vhost-user:<socket>, tap:<ifname> or virtual:<wire>'],
  ],
  examples: EXAMPLES,
  addOptions,
  adjustOptions: letRingBufferBeShort,
  options: captureOptions,
  writes: ({ file }) => (file === null ? null : { option: '-w', file }),
  prints: ({ show }) => show !== null,
  headline: ({ received }) => `received ${received}`,
  findings: (result) => findingsOf(result as CaptureResult | null),
}

function addOptions(command: Command): void {
  command
    .argument('[filter...]', "packets that are wanted, in tcpdump's language: udp port 53 (default: all)")
    .option('-w, --write <file>', 'write them to a file, a FIFO or - (stdout), as pcapng')
    .option('-P, --pcap', 'pcap instead of pcapng, with nanoseconds', false)
    .option(
      '-s, --snaplen <bytes>',
      'keep that much of each packet',
      byteSize('--snaplen', 1, MAX_CAPTURED_BYTES),
      MAX_CAPTURED_BYTES,
    )
    .option(
      '-f, --filter <expression>',
      "packets that are wanted, in tcpdump's language; also as the last words",
    )
    .option('-c, --count <packets>', 'end after that many: 1000, 10k, 2M', count('--count', 1, MOST))
    .addOption(
      offering(
        command.createOption(
          '-a, --autostop <condition>',
          'end after duration:<time>, filesize:<kB>, files:<n> or packets:<n> (repeatable)',
        ),
        CONDITIONS,
      ).argParser((text, before?: Conditions) => {
        const all = addCondition('-a', text, before)
        if (all.duration !== undefined) command.setOptionValue('duration', all.duration)
        return all
      }),
    )
    .addOption(
      offering(
        command.createOption(
          '--ring-buffer <condition>',
          'also -b: next file after duration:<time>, filesize:<kB> or packets:<n>; files:<n> keeps the newest n (repeatable)',
        ),
        CONDITIONS,
      ).argParser((text, before?: Conditions) => addCondition('--ring-buffer', text, before)),
    )
}

/** dumpcap's `-b filesize:1000` beside `-b 64`, which is the size of batches in every command. */
function letRingBufferBeShort(command: Command): void {
  const batchSize = command.options.find(({ long }) => long === '--batch-size')
  const parse = batchSize?.parseArg
  if (batchSize === undefined || parse === undefined) return
  batchSize.argParser((text, before) => {
    if (!text.includes(':')) return parse(text, before)
    const conditions = command.getOptionValue('ringBuffer') as Conditions | undefined
    command.setOptionValue('ringBuffer', addCondition('-b', text, conditions))
    return before
  })
}

function captureOptions(flags: CaptureFlags, words: readonly string[]): CaptureOptions {
  const { write = null, autostop = {}, ringBuffer = {} } = flags
  const limits = limitsOf(autostop, ringBuffer)
  const counts = [flags.count, autostop.packets].filter((packets) => packets !== undefined)
  if (write === '') throw usageError('-w has no name', 'name a file: -w out.pcapng')
  const standard = write !== null && isStandardStream(write, 1)
  if (write === null) {
    if (limits !== ONE_FILE || flags.pcap)
      throw usageError(
        `${flags.pcap ? '-P' : '-a filesize:, -a files: and -b'} needs a file`,
        'name it: -w <file>',
      )
  } else if (standard) {
    if (isatty(1))
      throw usageError('-w - would write a capture to the terminal', 'redirect stdout: > out.pcapng')
  }
  if (write !== null && !limits.single && (standard || isNoFile(write)))
    throw usageError(`-b needs a file with a name, and ${shownName(write)} is none`, 'name it: -w <file>')
  return {
    file: standard ? '-' : write,
    format: flags.pcap ? 'pcap' : 'pcapng',
    snapLength: flags.snaplen,
    count: counts.length === 0 ? null : Math.min(...counts),
    limits,
    filter: filterOf(flags.filter, words),
    show: write !== null || flags.quiet ? null : flags.json ? 'json' : 'text',
  }
}

/** Words as tcpdump takes them, or -f as dumpcap does. Whether it is a filter shows when libpcap compiles it. */
function filterOf(option: string | undefined, words: readonly string[]): string {
  if (option !== undefined && words.length > 0)
    throw usageError(`-f and '${words.join(' ')}' are both filters`, 'give one of them')
  return (option ?? words.join(' ')).trim()
}

/** There is a FIFO or a device of that name. */
function isNoFile(name: string): boolean {
  const state = statSync(toPath(name), { throwIfNoEntry: false })
  return state !== undefined && !state.isFile() && !state.isDirectory()
}
