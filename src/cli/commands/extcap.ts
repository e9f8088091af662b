/** `ixy-ts extcap`: interfaces of Wireshark's, by the protocol in ../extcap/protocol.ts. */
import type { Command } from 'commander'
import { closeSync, constants, openSync, statSync } from 'node:fs'
import { capture } from '../../apps/capture/app.ts'
import type { CaptureOptions } from '../../apps/capture/options.ts'
import { ONE_FILE } from '../../captures/file-limits.ts'
import { DRIVERS } from '../../driver/registry.ts'
import { run } from '../../engine/run.ts'
import { DEFAULTS } from '../../engine/settings.ts'
import { asIxyError, IxyError } from '../../errors.ts'
import { compileFilter } from '../../linux/pcap-library.ts'
import { usageError, wholeNumber } from '../../option-values.ts'
import { MAX_CAPTURED_BYTES } from '../../packet/pcap.ts'
import { listNics } from '../../pci/nics.ts'
import { checkDevices } from '../device-argument.ts'
import { extcapFolder, install, uninstall } from '../extcap/install.ts'
import { configLines, deviceOf, DLT_LINES, interfaceLines } from '../extcap/protocol.ts'
import { exitCodeOf, reportFailure } from '../failure.ts'
import type { Finish } from '../finish.ts'
import path from 'node:path'
import { stdout } from '../output/outlet.ts'
import { listenForStop } from '../stop.ts'

const HELP = `
Wireshark then lists "ixy-ts: any device", and the cards of this machine that can be used. Without a folder it is the one that
tshark -G folders tells; Wireshark before 4.2 has none of the user's own: name one, and set WIRESHARK_EXTCAP_DIR to it. As root
Wireshark ignores that variable: install without a folder.
What Wireshark itself calls is in extcap(4): --extcap-interfaces, --extcap-dlts, --extcap-config, --capture.

Examples:
  ixy-ts extcap --install ./extcap
  ixy-ts extcap --uninstall ./extcap
  ixy-ts extcap --extcap-interfaces`

interface ExtcapFlags {
  readonly install?: string | true
  readonly uninstall?: string | true
  readonly extcapInterfaces?: true
  readonly extcapDlts?: true
  readonly extcapConfig?: true
  readonly extcapInterface?: string
  readonly extcapCaptureFilter?: string
  readonly capture?: true
  readonly fifo?: string
  readonly device?: string
  readonly queues: number
}

export function addExtcap(program: Command, finish: Finish): void {
  const command = program
    .command('extcap')
    .description('Let Wireshark capture with ixy-ts')
    .option('--install [folder]', 'put ixy-ts into the list of interfaces of Wireshark')
    .option('--uninstall [folder]', 'take it out again')
    .addHelpText('after', HELP)
  const internal = [
    ...['--extcap-interfaces', '--extcap-version [version]', '--extcap-dlts', '--extcap-config'],
    ...['--extcap-interface <name>', '--extcap-capture-filter <filter>', '--capture', '--fifo <path>'],
    '--device <device>',
  ]
  for (const flags of internal) command.addOption(command.createOption(flags).hideHelp())
  const queues = wholeNumber('--queues', 1, DRIVERS.limits.queues)
  command.addOption(command.createOption('--queues <n>').default(1).argParser(queues).hideHelp())
  // Later versions of Wireshark may ask for more.
  command.allowUnknownOption().allowExcessArguments()
  command.action(async (flags: ExtcapFlags) => finish(await answer(flags)))
}

/** Returns the exit code. */
async function answer(flags: ExtcapFlags): Promise<number> {
  if (flags.install !== undefined) return say([installed(flags.install)])
  if (flags.uninstall !== undefined) return say([uninstalled(flags.uninstall)])
  if (flags.extcapInterfaces) return say(interfaceLines(listNics(DRIVERS)))
  if (flags.extcapInterface === undefined)
    throw usageError('extcap: nothing is asked for', 'give --install, or see ixy-ts extcap --help')
  const device = deviceOf(flags.extcapInterface, flags.device)
  if (flags.extcapDlts) return say(DLT_LINES)
  if (flags.extcapConfig) return say(configLines(flags.extcapInterface))
  const filter = flags.extcapCaptureFilter ?? ''
  if (flags.capture) return captureInto(device, flags.fifo, flags.queues, filter)
  return say(complaints(filter))
}

function say(lines: readonly string[]): number {
  for (const line of lines) stdout.write(`${line}\n`)
  return 0
}

function installed(folder: string | true): string {
  if (folder === true) return `${install(extcapFolder())} is there: start Wireshark, or tshark -D`
  return `${install(folder)} is there: start Wireshark with WIRESHARK_EXTCAP_DIR=${path.resolve(folder)} (not as root: it ignores that then)`
}

function uninstalled(folder: string | true): string {
  const where = folder === true ? extcapFolder() : folder
  const file = uninstall(where)
  return file === null ? `nothing of ours is in ${where}` : `${file} is gone`
}

/** Whatever is said about a filter means that it isn't valid. */
function complaints(filter: string): string[] {
  try {
    compileFilter(filter)
    return []
  } catch (error) {
    return [asIxyError(error).message]
  }
}

/** Prints nothing but what has failed. */
async function captureInto(
  device: string,
  fifo: string | undefined,
  queues: number,
  filter: string,
): Promise<number> {
  if (fifo === undefined) throw usageError('extcap: --capture needs --fifo', 'Wireshark gives it')
  requireFifo(fifo)
  let code: number
  try {
    code = await captureThrough(device, fifo, queues, filter)
  } catch (error) {
    code = reportFailure(error, false, false)
  }
  if (code !== 0) release(fifo)
  return code
}

/** Wireshark has made it. A file would be filled without end. */
function requireFifo(fifo: string): void {
  if (statSync(fifo, { throwIfNoEntry: false })?.isFIFO() === true) return
  throw new IxyError('IXY_ERR_FILE', `extcap: ${fifo} is no FIFO`, 'to write a file, use ixy-ts capture -w')
}

/** Who waits for the FIFO to be opened would wait for ever. After the error has been told: Wireshark listens until then. */
function release(fifo: string): void {
  try {
    closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK))
  } catch {
    // Nobody does.
  }
}

async function captureThrough(device: string, fifo: string, queues: number, filter: string): Promise<number> {
  const devices = checkDevices([device], { writes: { option: '--fifo', file: fifo } })
  const appOptions: CaptureOptions = {
    ...{ file: fifo, format: 'pcapng', snapLength: MAX_CAPTURED_BYTES, count: null },
    ...{ limits: ONE_FILE, filter, show: null },
  }
  const stop = listenForStop()
  const silent = (): void => undefined
  const result = await run(
    // Wireshark looks for hours: a worker that has nothing to do is to sleep.
    { ...DEFAULTS, mode: 'adaptive', queues, devices, app: { app: capture, file: null }, appOptions },
    { started: silent, interval: silent, link: silent, progress: silent, warning: silent },
    stop.signal,
  )
  if (result.error === null) return 0
  return exitCodeOf(reportFailure(result.error, false, false), result.elapsed > 0)
}
