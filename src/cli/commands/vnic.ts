import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { cardBalance } from '../../engine/balance.ts'
import { withoutVerdict } from '../../engine/audit.ts'
import { everyInterval, intervalBetween } from '../../engine/intervals.ts'
import { Ending } from '../../engine/ending.ts'
import { NO_LOSS } from '../../engine/loss.ts'
import { activeSeconds } from '../../engine/activity.ts'
import { type TelemetryServer, offerTelemetry } from '../../engine/telemetry.ts'
import type { DeviceCounters, Sample } from '../../engine/types.ts'
import { IxyError, asIxyError } from '../../errors.ts'
import { openTap } from '../../linux/tap.ts'
import { formatMac, parseUnicastMac } from '../../packet/mac.ts'
import { VERSION } from '../../version.ts'
import { NicHost } from '../../vnic/host.ts'
import { macOfSocket } from '../../vnic/mac.ts'
import { rehearse } from '../../vnic/rehearsal.ts'
import { keepsToLineRate, wireClaims } from '../../vnic/wires/parse.ts'
import { Confinement, type ConfinementFlags } from '../confinement.ts'
import { namesOfTaps } from '../confinement-rules.ts'
import { checkWire, wireTakesStdout } from '../device-argument.ts'
import { exitCodeOf, reportFailure } from '../failure.ts'
import { createLog } from '../log.ts'
import { type WatchFlags, addWatchOptions } from '../options.ts'
import { createReporter } from '../output/create.ts'
import { lendStdout, openStdout } from '../output/stdout.ts'
import { Tally } from '../output/tally.ts'
import { counted } from '../../wording.ts'
import type { Finish } from '../finish.ts'
import { listenForStop } from '../stop.ts'
import { countersOf, infoOf, wiresOf } from '../vnic-counts.ts'
import { usageError } from '../../option-values.ts'
import { sum } from '../../sum.ts'
import { compileLate } from '../../inlining.ts'

const EXAMPLES = `
Seen from the host that uses the NIC: RX is what reaches its memory, TX what it sends.

Examples:
  ixy-ts vnic nic.sock --wire gen             then: ixy-ts forward vfio-user:nic.sock virtual:sink
  sudo ixy-ts vnic nic.sock --wire tap=nic0
  ixy-ts vnic a.sock b.sock                   two NICs with a cable between them
  ixy-ts vnic a.sock b.sock --mac 52:54:00:00:00:0a,52:54:00:00:00:0b
  sudo ixy-ts vnic nic.sock --wire tap=nic0 --user nobody --confine
                                              for a client that isn't trusted, in a folder of nobody's

A cable holds nobody up: NICs whose drivers have flow control on (Linux does) pause each other, others miss frames.

Without --mac a NIC gets a random MAC address that stays the same for its socket until the next boot.

One server per card keeps clients of different owners apart. What --user and --confine promise, and the one line that says
what is in force: docs/virtual-nic.md.

A virtual machine takes it with QEMU 10.1 or newer and memory that is shared (docs/virtual-nic.md).`

/** Milliseconds after a signal in which captures may be written to their end; host.close() tells what is missing then. */
const FLUSHED_BY = 300

interface VnicFlags extends WatchFlags, ConfinementFlags {
  readonly wire?: string
  readonly mac: readonly Uint8Array[]
  readonly allowUnsealed?: boolean
  readonly inspect: boolean
}

export function addVnic(program: Command, finish: Finish): void {
  const command = program
    .command('vnic')
    .description('Run a virtual 82599 as a vfio-user server; two of them are joined by a cable')
    .argument('<socket>', 'UNIX socket to listen on')
    .argument('[socket-b]', 'socket of a second NIC, joined to the first by a cable')
    .option('--wire <wire>', 'what is plugged into the port (ixy-ts --help lists them)')
    .option(
      '--mac <mac>',
      'MAC address of the NIC; for two, both with a comma between, or the option twice',
      macList,
      [],
    )
    .option(
      '--no-inspect',
      "leave received packets' checksums and types alone: faster, for clients that don't ask the card for them",
    )
    .option(
      '--allow-unsealed',
      'map client memory that its owner could take away, which would end this process (docs/virtual-nic.md)',
    )
    .option(
      '--user <user>',
      'become this user before clients are served: a name, uid or uid:gid (needs root)',
    )
    .option(
      '--confine',
      'refuse itself what serving clients takes no rights for, by seccomp and Landlock where the kernel has them',
      false,
    )
    .option('--confine-strict', 'the same, or exit 4 where one of them is missing', false)
    .addHelpText('after', EXAMPLES)
  addWatchOptions(command).action(async (socket: string, socketB: string | undefined, flags: VnicFlags) => {
    finish(await vnic(socketB === undefined ? [socket] : [socket, socketB], flags))
  })
}

/** Adds to what earlier --mac have given. */
function macList(text: string, before: readonly Uint8Array[]): Uint8Array[] {
  return [...before, ...text.split(',').map(parseUnicastMac)]
}

async function vnic(sockets: readonly string[], flags: VnicFlags): Promise<number> {
  const cabled = sockets.length === 2
  checkArguments(sockets, flags)
  const claims = flags.wire === undefined ? [] : wireClaims(flags.wire)
  const confinement = new Confinement(flags)
  confinement.enter({ sockets, claims })
  const stop = listenForStop()
  if (flags.wire !== undefined && wireTakesStdout(flags.wire)) lendStdout()
  const output = openStdout(flags.color, stop.stop)
  const log = createLog(flags.logLevel, flags.color)
  // Only these take root; all else is done as the user who is named.
  const taps = new Map(namesOfTaps(claims).map((name) => [name, openTap(name)]))
  confinement.become()
  const ending = new Ending({ devices: [], duration: flags.duration ?? null, mode: 'adaptive' }, stop.signal)
  for (const socket of sockets) checkFolder(socket, flags.user)
  rehearse()
  const host = new NicHost(
    // By its full path: servers in several folders may all be called nic.sock.
    sockets.map((socket) => ({ name: `vfio-user:${path.resolve(socket)}`, wire: flags.wire ?? '', socket })),
    cabled,
    {
      oneClient: false,
      openTap: (name) => taps.get(name) ?? openTap(name),
      macs: flags.mac.length > 0 ? flags.mac : sockets.map(macOfSocket),
      onClient: ({ socket }, connected) => log.info(`${socket}: client ${connected ? 'connected' : 'gone'}`),
      onRefusal: ({ socket }, reason) => log.warn(`${socket}: ${reason}`),
      allowUnsealed: flags.allowUnsealed === true,
      inspect: flags.inspect,
      log: (level, text) => (level === 'warning' ? log.warn(text) : log.info(text)),
    },
  )
  try {
    await host.ready()
  } catch (error) {
    host.close()
    throw error
  }
  compileLate()
  const reporter = createReporter('vnic', flags, output, ({ devices }) => {
    const packets = sum(devices.map(({ rx, tx }) => rx.packets + tx.packets))
    return `moved ${counted(packets, 'packet')}`
  })
  const tally = new Tally()
  const lineRateLimited = flags.wire !== undefined && keepsToLineRate(flags.wire)
  const infos = sockets.map((_, index) => infoOf(host, index))
  const totals = (): DeviceCounters[] => sockets.map((_, index) => countersOf(host, index))
  const sample = (): Sample => ({ time: performance.now() / 1000, devices: totals() })
  const begin = performance.now()
  const elapsed = (): number => (performance.now() - begin) / 1000
  const end = flags.duration ?? Infinity
  let failure: IxyError | null = null
  let started = false
  const ended = new AbortController()
  let telemetry: TelemetryServer | null = null
  try {
    telemetry = await offerTelemetry(
      { command: 'vnic', version: VERSION, devices: infos },
      () => ({ ...sample(), wires: wiresOf(host) }),
      (message) => log.warn(message),
    )
    const confined = confinement.seal()
    if (confined !== null) log[confined.complete ? 'info' : 'warn'](confined.text)
    sockets.forEach((socket, i) => log.info(`listening on ${socket}, MAC ${host.mac(i)}`))
    reporter.start(infos, [], lineRateLimited)
    ending.started()
    started = true
    const failed = host.run()
    failed.catch(() => ended.abort())
    stop.signal.addEventListener('abort', () => ended.abort())
    if (stop.signal.aborted) ended.abort()
    let before = sample()
    await everyInterval({ start: begin, seconds: flags.interval, duration: end }, ended.signal, (kind) => {
      // A rest shorter than the interval counts for the summary only, as in forward.
      if (kind === 'rest') return
      const now = sample()
      const event = intervalBetween(before, now, elapsed())
      before = now
      tally.add(event)
      reporter.interval(event)
    })
    if (ended.signal.aborted && !stop.signal.aborted) await failed
  } catch (error) {
    failure = asIxyError(error)
  }
  ending.begins(stop.signal.aborted ? 'signal' : 'duration')
  try {
    if (failure === null) await ending.inTime(host.flush(), FLUSHED_BY)
  } catch (error) {
    failure = asIxyError(error)
  }
  telemetry?.close()
  const ran = elapsed()
  const reports = host.reports()
  const virtual = reports.map(({ wires, breaches }, index) => ({
    index,
    device: infos[index].device,
    // What comes of its frames is seen in the process that drives the NIC.
    wires: wires.map(withoutVerdict),
    breaches,
    final: true,
  }))
  try {
    host.close()
  } catch (error) {
    failure ??= asIxyError(error)
  }
  ending.over()
  const final = totals()
  const most = Math.max(...final.map(({ rx, tx }) => Math.max(rx.packets, tx.packets)))
  const active = activeSeconds(
    reports.map(({ moved }) => moved),
    most,
    ran,
  )
  reporter.end({
    elapsed: ran,
    active,
    lineRateLimited,
    reason: failure !== null ? 'error' : stop.signal.aborted ? 'signal' : 'duration',
    devices: tally.summarize(final, active),
    virtual,
    balance: reports.flatMap((report, index) => cardBalance(infos[index].device, index, report)),
    loss: {
      judged: false,
      reason: 'this is one half of the way: the process that drives the NIC knows the other',
      ...NO_LOSS,
    },
    error: failure,
  })
  if (failure === null) return 0
  return exitCodeOf(reportFailure(failure, log.isLevelEnabled('debug'), flags.color), started)
}

function checkArguments(sockets: readonly string[], { wire, mac }: VnicFlags): void {
  for (const socket of sockets) checkFolder(socket)
  checkMacs(sockets.length, mac)
  if (sockets.length === 1) {
    if (wire === undefined) {
      throw usageError('a wire is missing', 'give --wire <wire>, or a second socket for a cable')
    }
    checkWire(wire)
    return
  }
  if (wire !== undefined)
    throw usageError('--wire goes with one socket', 'leave it out: the two NICs share a cable')
  if (path.resolve(sockets[0]) === path.resolve(sockets[1])) {
    throw usageError(`${sockets[1]} is named twice`, 'give two different sockets')
  }
}

function checkMacs(nics: number, macs: readonly Uint8Array[]): void {
  if (macs.length !== 0 && macs.length !== nics)
    throw usageError(`--mac gives ${macs.length} addresses for ${nics} NICs`, 'give one for each, or none')
  if (new Set(macs.map((mac) => formatMac(mac))).size !== macs.length)
    throw usageError(`--mac gives ${formatMac(macs[0])} twice`, 'give each NIC one of its own')
}

/** `user`: who this process has become. */
function checkFolder(socket: string, user?: string): void {
  const folder = path.dirname(path.resolve(socket))
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (cause) {
    const by = user === undefined ? '' : ` by user ${user}`
    const what = `can't create the socket ${socket}: the folder ${folder} doesn't exist or can't be written to${by}`
    const fix =
      user === undefined
        ? 'create it, or choose another'
        : `choose one of that user's, as after ${folderFor(user)}`
    throw new IxyError('IXY_ERR_FILE', what, fix, { cause })
  }
}

function folderFor(user: string): string {
  return `sudo install -d -o ${user.replace(/:.*/, '')} /run/ixy-nics`
}
