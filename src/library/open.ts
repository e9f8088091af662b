import type { DeviceStatistics, LinkState } from '../driver/device.ts'
import { attach } from '../driver/queue-registry.ts'
import type { AppPort } from '../engine/app.ts'
import { forget, remember, stopAtOnce } from '../engine/emergency.ts'
import { Links } from '../engine/links.ts'
import { Session } from '../engine/session.ts'
import type { DeviceInfo, RunObserver } from '../engine/types.ts'
import { IxyError } from '../errors.ts'
import { allowInlining } from '../inlining.ts'
import { PacketMemory } from '../memory/packets.ts'
import { WasmSpace, fitsWasm } from '../memory/wasm-space.ts'
import { type GivenSettings, completed, named } from './settings.ts'

/** What open() is to open, and how. */
export interface OpenSettings extends Pick<
  GivenSettings,
  'access' | 'ringSize' | 'mtu' | 'backend' | 'force'
> {
  /** `0000:03:00.0`, `vfio-user:/run/a.sock`, `virtual:gen`. */
  readonly devices: readonly string[]
  /** Buffer pools besides one per device, for packets of one's own. Default 0. */
  readonly pools?: number
  /** Packets have offloads (`memory.offloads`), as with App.offloads 'uses'. Default false. */
  readonly offloads?: boolean
  /** Ends the wait for virtual devices and links: IXY_ERR_STOP. */
  readonly signal?: AbortSignal
  /** Told what is worth a line while it waits; by default nobody is. */
  readonly log?: (level: 'warning' | 'progress', text: string) => void
}

/** Devices that are up, and their rings in this thread. */
export interface OpenDevices {
  /** In the order they were given. */
  readonly devices: readonly DeviceInfo[]
  /** One per device. Received packets come from the pool of the port's number. */
  readonly ports: readonly AppPort[]
  /** The buffers of all packets. */
  readonly memory: PacketMemory
  /** The numbers of the pools of one's own, for memory.allocate(). */
  readonly pools: readonly number[]
  /** Exact totals of what a device itself has counted since it was opened. Throws IXY_ERR_DEVICE_GONE if it has vanished. */
  statistics(port: number): DeviceStatistics
  /** Whether a device has a link, and its speed in Mbit/s, 0 while it is down. Throws IXY_ERR_DEVICE_GONE. */
  link(port: number): LinkState
  /**
   * Stops all DMA and gives the devices back; packets that are still in the rings are gone. Ports and memory must not be touched
   * afterwards. Idempotent, never rejects.
   */
  close(): Promise<void>
}

/**
 * Opens devices for this thread, which moves the packets itself: no worker, no loop, no rehearsal. Resolves when their links are
 * up, after ten seconds without; packets come in from then on. close() them at the end.
 *
 * Rejects with an IxyError, and has given everything back then: IXY_ERR_USAGE for settings that make no sense,
 * IXY_ERR_DEVICE_NOT_FOUND, IXY_ERR_PERMISSION…
 */
export async function open(settings: OpenSettings): Promise<OpenDevices> {
  const { devices, pools = 0, offloads = false, signal, log = () => undefined, ...given } = settings
  const use = offloads ? ('uses' as const) : null
  const options = { ...completed(given), devices: named(devices), extraPools: pools, offloads: use }
  const stop = signal ?? new AbortController().signal
  const observer: Pick<RunObserver, 'warning' | 'progress'> = {
    warning: (text) => log('warning', text),
    progress: (text) => log('progress', text),
  }
  // A process that ends without close() leaves no card doing DMA.
  const guarded: Parameters<typeof remember>[0][] = []
  const guard = (what: Parameters<typeof remember>[0]): void => {
    guarded.push(what)
    remember(what)
  }
  process.on('exit', stopAtOnce)
  const release = (): void => {
    for (const what of guarded.splice(0)) forget(what)
    process.off('exit', stopAtOnce)
  }
  let session: Session | null = null
  try {
    session = await Session.open(options, { observer, stop, watchdog: { guard } })
    await new Links(session, { ...observer, link: () => undefined }).untilUp(stop)
    if (stop.aborted) throw new IxyError('IXY_ERR_STOP', 'stopped before the devices were up')
    return arm(session, options.backend, pools, release)
  } catch (error) {
    release()
    await session?.close()
    throw error
  }
}

function arm(
  session: Session,
  backend: 'wasm' | 'ts' | null,
  pools: number,
  release: () => void,
): OpenDevices {
  allowInlining()
  const [{ memory: spec, arena, ports }] = session.queueSets
  const wasm = (backend ?? (fitsWasm(arena) ? 'wasm' : 'ts')) === 'wasm'
  const memory = new PacketMemory(spec, wasm ? new WasmSpace(arena) : null)
  const pairs = ports.map((port, i) => attach(port, memory, i))
  for (const pair of pairs) pair.start()
  for (const device of session.devices) device.start()
  return {
    devices: session.infos(),
    ports: pairs.map(({ rx, tx }) => ({ rx, tx, filteredOut: 0 })),
    memory,
    pools: Array.from({ length: pools }, (_, i) => pairs.length + i),
    statistics: (port) => session.devices[port].statistics(),
    link: (port) => session.devices[port].link(),
    async close() {
      release()
      await session.close()
    },
  }
}
