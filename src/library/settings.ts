/** Settings as a program gives them: checked, and filled up with the defaults of the command line. */
import { checkDevices } from '../cli/device-argument.ts'
import { DRIVERS } from '../driver/registry.ts'
import { DEFAULTS, type Settings } from '../engine/settings.ts'
import { usageError } from '../errors.ts'
import { setFlagsFromString } from 'node:v8'

/** What may be given of them; what isn't is as on the command line. */
export type GivenSettings = { readonly [Key in keyof Settings]?: Settings[Key] | undefined }

/** Throws IXY_ERR_USAGE for what makes no sense. */
export function completed(given: GivenSettings): Settings {
  const own = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const settings: Settings = { ...DEFAULTS, ...own }
  const { limits } = DRIVERS
  const { ringSize, batchSize, queues, mtu, duration, interval, mode, backend, access } = settings
  whole('ringSize', ringSize, limits.ringSize.min, limits.ringSize.max)
  if ((ringSize & (ringSize - 1)) !== 0)
    throw usageError(`ringSize ${ringSize} is no power of two`, 'give one')
  if (batchSize !== null) whole('batchSize', batchSize, 1, ringSize - 1)
  whole('queues', queues, 1, limits.queues)
  whole('mtu', mtu, DEFAULTS.mtu, limits.mtu)
  if (duration !== null) seconds('duration', duration)
  seconds('interval', interval)
  oneOf('mode', mode, ['poll', 'interrupt', 'adaptive'])
  oneOf('backend', backend, [null, 'wasm', 'ts'])
  oneOf('access', access, [null, 'sysfs', 'vfio'])
  return settings
}

/** The names of the devices as every report has them. Throws IXY_ERR_USAGE for what is no device, or none at all. */
export function named(devices: readonly string[]): string[] {
  if (devices.length === 0) throw usageError('no device is given', "give one, as in devices: ['virtual:gen']")
  return checkDevices(devices)
}

/** As bin/ixy-ts has it, for the rings' loops to be inlined; of code that is compiled from now on, in all threads. */
export function tuneV8(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=5000')
}

function whole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw usageError(`${name} ${value} is not valid`, `give a whole number from ${least} to ${most}`)
}

/** Timers of Node.js hold 31 bits of milliseconds: 24 days. */
const MAX_SECONDS = 2_147_483

function seconds(name: string, value: number): void {
  if (value >= 0.001 && value <= MAX_SECONDS) return
  throw usageError(`${name} ${value} is not valid`, `give seconds, from 0.001 to ${MAX_SECONDS}`)
}

function oneOf(name: string, value: unknown, allowed: readonly unknown[]): void {
  if (allowed.includes(value)) return
  throw usageError(`${name} ${String(value)} is not valid`, `give one of ${allowed.join(', ')}`)
}
