import { Command, Help, type Option } from 'commander'
import { addBuiltIn } from './commands/built-in.ts'
import { addCompletion } from './commands/completion.ts'
import { addDevices } from './commands/devices.ts'
import { addDoctor } from './commands/doctor.ts'
import { addDumpRegisters } from './commands/dump-registers.ts'
import { addExtcap } from './commands/extcap.ts'
import { addManual } from './commands/manual.ts'
import { addRun } from './commands/run.ts'
import { addStats } from './commands/stats.ts'
import { addVnic } from './commands/vnic.ts'
import type { Finish } from './finish.ts'
import { stdout } from './output/outlet.ts'
import { VERSION } from '../version.ts'

export function createProgram(finish: Finish): Command {
  const program = new Command('ixy-ts')
    .description(
      "User-space driver for Intel's 82599 family of 10 Gbit/s NICs: forwarder, generator, virtual NIC",
    )
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      // Errors are written by main.ts, in one style.
      writeErr: () => undefined,
      writeOut: (text) => stdout.write(text),
      // process.stdout makes pipes non-blocking, also for others.
      getOutHelpWidth: () => stdout.columns ?? 80,
      getOutHasColors: () => stdout.terminal,
    })
    .showSuggestionAfterError(true)
    .configureHelp({ optionDescription })
    .addHelpText('after', HELP)
  addBuiltIn(program, finish)
  addRun(program, finish)
  addStats(program, finish)
  addVnic(program, finish)
  addDevices(program, finish)
  addDoctor(program, finish)
  addDumpRegisters(program, finish)
  addExtcap(program, finish)
  addCompletion(program, finish)
  addManual(program, finish)
  return program
}

/** That an option is off, or a list empty, unless given goes without saying. What one may be is said by the description. */
function optionDescription(option: Option): string {
  const plain = Object.assign(Object.create(option) as Option, { argChoices: undefined })
  return new Help().optionDescription(plain).replace(/ \(default: (false|\[\])\)$/, '')
}

const HELP = `
A <device> is one of
  0000:03:00.0, 03:00.0   a PCI function
  vfio-user:<socket>      a vfio-user server, such as ixy-ts vnic
  vhost-user:<socket>     a vhost-user back end, such as DPDK's net_vhost: virtio queues without a card
  tap:<ifname>            a TAP interface of Linux: the kernel's own stack at the other end, docs/host-interface.md
  virtual:<wire>          a virtual 82599 for the life of this command, with <wire> plugged into its port

A <wire> is a comma-separated list of
  gen                     traffic source that checks what comes back: rate=, size=, imix, flows=, count=;
                          waits for the NIC and keeps to line rate without rate=; rate=max is flat out
  sink, loop              swallows and counts; sends back: rate=, queue=<frames> (what comes faster is dropped)
  tap=<ifname>            a Linux TAP interface
  replay=<file>           plays a capture into the NIC: repeat=<n> (0: without end), rate=. Keeps the file's
                          timing without rate=: speed=<factor> scales it, gap=<max> cuts its pauses.
                          mac=<dst> for captures without Ethernet header; strict refuses what is damaged
  record=<file>           writes what the NIC sends into a capture: snaplen=<bytes>, filesize=<kB>, files=<n>,
                          filter=<what to keep, in tcpdump's language>.
                          A capture is a file, a FIFO or - (stdin, stdout); docs/captures.md
  fault=<list>            drop=<p>, corrupt=<p>, dup=<p>, reorder=<p>, linkflap=<plugged>[/<unplugged>],
                          unplugged=<time> (not plugged in at first, for that long), seed=<n>, joined by +
The order of its parts has no effect: what the NIC sends is recorded, then goes through the faults to the others.
Quantities have units: counts as in 10k or 2M, times as in 10 (seconds), 500ms or 2m, shares as in 0.01
or 1%, rates as in 1.5Mpps, 500kpps, 2Gbit, 10% (of the link) or max.
What a wire counts is explained in docs/output.md; foreign are frames that no gen of this process has sent.

Exit codes:
  0  done, or stopped by a signal
  1  failed at run time
  2  wrong usage
  3  the device can't be used
  4  the system isn't set up
  5  an --expect-... was not met

Environment:
  IXY_TS_RUNTIME_DIR   where sockets and locks of running ixy-ts are, instead of /run/ixy-ts (root),
                       $XDG_RUNTIME_DIR/ixy-ts or /tmp/ixy-ts-<uid>
  IXY_TS_CHECK         1: as --check
  IXY_TS_REHEARSAL     0: begin before V8 has compiled the loops, half a second sooner
  NO_COLOR             1: as --no-color

Examples:
  ixy-ts forward virtual:gen virtual:gen --duration 10
  sudo ixy-ts forward 0000:03:00.0 0000:03:00.1
  ixy-ts forward --help`
