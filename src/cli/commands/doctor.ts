import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { DRIVERS } from '../../driver/registry.ts'
import { asIxyError, type IxyError } from '../../errors.ts'
import { requireRuntimeDirectory } from '../../linux/runtime-dir.ts'
import { parseDevice } from '../../pci/address.ts'
import { listNics } from '../../pci/nics.ts'
import { checkDevices } from '../device-argument.ts'
import { type CardOptions, type Diagnosis, examineCard } from '../doctor/card.ts'
import { type Finding, type Machine, obstacleOf, ok, thisMachine, warn } from '../doctor/finding.ts'
import { examineOther } from '../doctor/other.ts'
import { diagnosisLines, findingLines, findingObject, verdictObject } from '../doctor/print.ts'
import { examineTuning } from '../doctor/tuning.ts'
import type { Finish } from '../finish.ts'
import { type OutputFlags, accessOption, addOutputOptions, queuesOption } from '../options.ts'
import { openStdout } from '../output/stdout.ts'

const EXAMPLES = `
Reads what the system says and changes nothing; no card is touched. Below what is not as it should be stands the command that
mends it. warn: a run starts, but may be slower or less even than it could be; fail: it would end with that error, and so does
this command, with its exit code. Without a device: every card that ixy-ts drives, and it fails if none of them can be used.
A card is judged for a run on two like it, or on as many devices as are named, with rings and packets of the
default size.

Examples:
  ixy-ts doctor
  sudo ixy-ts doctor 0000:03:00.0
  ixy-ts doctor 0000:03:00.0 0000:03:00.1 --queues 4
  sudo ixy-ts doctor virtual:tap=nic0
  ixy-ts doctor --json | jq -r 'select(.status == "fail").commands[]'`

interface DoctorFlags extends OutputFlags, Pick<CardOptions, 'force' | 'queues'> {
  readonly access?: 'sysfs' | 'vfio'
}

export function addDoctor(program: Command, finish: Finish): void {
  const command = program
    .command('doctor')
    .argument('[device...]', 'devices of the run that is meant')
    .description('Tell what stands between this machine and a run, with the command that mends it')
    .addHelpText('after', EXAMPLES)
    .addOption(queuesOption())
    .addOption(accessOption())
    .option('--force', 'of a NIC that is in use or of an unknown model', false)
  addOutputOptions(command).action((names: string[], flags: DoctorFlags) => {
    const devices = checkDevices(names)
    const machine = thisMachine(readFileSync('/proc/cpuinfo', 'utf8'))
    const general = [runtimeDirectory(), ...examineTuning(machine, flags.queues)]
    const diagnoses = examine(devices.length > 0 ? devices : cardsOf(machine), flags, machine, devices.length)
    const output = openStdout(flags.color, () => undefined)
    for (const diagnosis of diagnoses) {
      const objects = [
        ...diagnosis.findings.map((finding) => findingObject(diagnosis.device, finding)),
        verdictObject(diagnosis),
      ]
      for (const line of flags.json ? objects : diagnosisLines(diagnosis, output.chalk)) output.line(line)
    }
    if (diagnoses.length === 0) general.unshift(warn('model', NO_CARD))
    if (!flags.json) output.line(output.chalk.bold('every run'))
    const lines = flags.json
      ? general.map((finding) => findingObject(null, finding))
      : findingLines(general, output.chalk)
    for (const line of lines) output.line(line)
    const error = obstacle(diagnoses, devices.length > 0)
    if (error !== null) throw error
    finish(0)
  })
}

const NO_CARD =
  'this machine has no card that ixy-ts drives; virtual:, tap:, vfio-user: and vhost-user: devices take none'

/** `named`: how many devices the run is to have; a forwarder has two. */
function examine(
  devices: readonly string[],
  flags: DoctorFlags,
  machine: Machine,
  named: number,
): Diagnosis[] {
  const options = { ...flags, access: flags.access ?? null, devices: Math.max(2, named) }
  return devices.map((device) => {
    const address = parseDevice(device)
    return address.kind === 'pci'
      ? examineCard(address.address, options, machine)
      : examineOther(address, machine)
  })
}

/** Addresses of all that there is a driver for. */
function cardsOf({ roots }: Machine): string[] {
  return listNics(DRIVERS, roots).flatMap(({ address, family }) => (family === 'unknown' ? [] : [address]))
}

/** For the sockets of `stats`. Cards, whose locks are there, fail without. */
function runtimeDirectory(): Finding {
  try {
    return ok('runtime', requireRuntimeDirectory())
  } catch (error) {
    return warn('runtime', `${asIxyError(error).message}: stats won't see the run`)
  }
}

/** What a run would end with: on the devices that were named; where none was, if none at all can be used. */
function obstacle(diagnoses: readonly Diagnosis[], named: boolean): IxyError | null {
  const errors = diagnoses.map(({ findings }) => obstacleOf(findings))
  if (!named && errors.includes(null)) return null
  return errors.find((error) => error !== null) ?? null
}
