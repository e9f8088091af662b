/**
 * The end of a run for which there is no time, or no main thread: workers are told to stop, and cards that would go on
 * with DMA when this process has ended lose their right to it. (Those that are reached through VFIO or a server lose it
 * by the end of the process.) Nothing is counted, and the kernel's drivers don't get their cards back.
 */
import { close, O_RDWR, open } from '../linux/file.ts'
import { FileConfigSpace, setBusMaster } from '../pci/config-space.ts'
import { COMMAND, COMMAND_STOP } from './worker-spec.ts'

/** What has to be stopped; structured-cloneable. */
export type Running =
  /** A worker, by its orders (worker-spec.ts). */
  | { readonly control: SharedArrayBuffer }
  /** A card, by the file of its configuration space. */
  | { readonly configFile: string }

const running = new Set<Running>()

/** From now on stopAtOnce() of this thread stops it, until forget(). */
export function remember(what: Running): void {
  running.add(what)
}

export function forget(what: Running): void {
  running.delete(what)
}

/** Never throws. Takes some microseconds. */
export function stopAtOnce(): void {
  for (const what of running) if ('control' in what) stopWorker(what.control)
  for (const what of running) if ('configFile' in what) stopCard(what.configFile)
}

function stopWorker(control: SharedArrayBuffer): void {
  const words = new Int32Array(control)
  Atomics.store(words, COMMAND, COMMAND_STOP)
  Atomics.notify(words, COMMAND)
}

function stopCard(file: string): void {
  try {
    const fd = open(file, O_RDWR)
    try {
      setBusMaster(new FileConfigSpace(fd), false)
    } finally {
      close(fd)
    }
  } catch {
    // It has gone; so has its DMA.
  }
}
