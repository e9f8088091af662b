import { fileURLToPath } from 'node:url'
import { loadApp } from '../engine/app-file.ts'
import { run as runOptions } from '../engine/run.ts'
import type { RunObserver, RunResult } from '../engine/types.ts'
import { usageError } from '../errors.ts'
import { type GivenSettings, completed, named } from './settings.ts'

/** What run() is to run an app on, and how. */
export interface RunSettings extends GivenSettings {
  /** `0000:03:00.0`, `vfio-user:/run/a.sock`, `virtual:gen`: as many as the app takes. */
  readonly devices: readonly string[]
  /** What the app's plan, or its workers, are to get; takes the place of App.options, which isn't called. Default {}. */
  readonly appOptions?: unknown
  /** Ends the run cleanly when it is aborted. */
  readonly signal?: AbortSignal
  /** Told what happens meanwhile, in this thread; whatever is left out isn't. None may throw. */
  readonly observer?: Partial<RunObserver>
}

const SILENT: RunObserver = {
  started: () => undefined,
  interval: () => undefined,
  link: () => undefined,
  progress: () => undefined,
  warning: () => undefined,
}

/**
 * Runs the app in `file` on its devices, as `ixy-ts run` does, until it is done, `duration` (seconds) is over or `signal` is
 * aborted; then gives the devices back. `file` is a path or a file: URL, as in `new URL('./app.ts', import.meta.url)`: each
 * worker is a thread of its own and loads the app from there.
 *
 * Resolves with everything that was counted; `result` is what the app has found out. Rejects with the IxyError that ended
 * the run, also one before its start: IXY_ERR_USAGE for settings that make no sense, IXY_ERR_APP for a mistake in the app,
 * IXY_ERR_DEVICE_GONE…
 *
 * Signals are the caller's: without a listener for SIGINT, Ctrl-C ends the process, and a physical card is taken off the bus
 * by the next run only. A run whose end takes much longer than it may ends the process (docs/output.md, "Ending").
 */
export async function run(file: string | URL, settings: RunSettings): Promise<RunResult> {
  const { devices, appOptions = {}, signal, observer, ...given } = settings
  const options = { ...completed(given), devices: named(devices), appOptions }
  const path = file instanceof URL ? fileURLToPath(file) : file
  const app = await loadApp(path)
  const { min, max } = app.ports
  if (devices.length < min || devices.length > max)
    throw usageError(`app ${app.name} takes ${min} to ${max} devices, not ${devices.length}`, '')
  const stop = signal ?? new AbortController().signal
  const result = await runOptions({ ...options, app: { app, file: path } }, { ...SILENT, ...observer }, stop)
  if (result.error !== null) throw result.error
  return result
}
