/**
 * What DPDK's telemetry (version 2) answers to, about the devices of all runs: doc/guides/howto/telemetry.rst of DPDK, and its
 * lib/ethdev/rte_ethdev_telemetry.c for what each answer holds. A device is a port; its number stays the same as long as its run lives.
 */
import { VERSION } from '../../version.ts'
import type { DeviceState, MonitorState, QueueState, RunState } from './state.ts'

/** Bytes of an answer: DPDK's own limit, which clients take for their buffers. */
export const MOST_OUTPUT = 16_384
/** Queues in /ethdev/stats: RTE_ETHDEV_QUEUE_STAT_CNTRS. */
const STAT_QUEUES = 16

/** Causes of drops by the counter of rte_eth_stats that they belong to; all stand in /ethdev/xstats. */
const MISSED = ['missed', 'no_descriptor', 'kernel_dropped']
const NO_BUFFER = ['pool_empty']
const RX_ERRORS = [
  ...['crc', 'illegal_byte', 'length', 'undersize', 'fragment', 'oversize', 'jabber'],
  ...['fragments', 'bad_length'],
]
/** What the driver drops of a queue that the card has already received. */
const OF_QUEUE = ['pool_empty', 'fragments', 'bad_length']
const TX_ERRORS = ['tx_invalid', 'tx_refused']

interface Port {
  readonly run: RunState
  readonly device: DeviceState
}

type Command = (ports: ReadonlyMap<number, Port>, parameter: string) => unknown

/** What a client reads first, and at /info. */
export function introduction(): object {
  return { version: `ixy-ts ${VERSION}`, pid: process.pid, max_output_len: MOST_OUTPUT }
}

export class DpdkCommands {
  /** By run and place. */
  private readonly numbers = new Map<string, number>()
  private next = 0

  /** The answer to `/ethdev/stats,0`: JSON with the command as its key, and null where there is none. */
  answer(state: MonitorState, request: string): string {
    const [, name = '', parameter = ''] = /^([^,]*),?(.*)$/s.exec(request) ?? []
    const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    const text = JSON.stringify({ [name]: found?.run(this.ports(state), parameter) ?? null })
    return Buffer.byteLength(text) <= MOST_OUTPUT ? text : JSON.stringify({ [name]: null })
  }

  private ports({ runs }: MonitorState): Map<number, Port> {
    const ports = new Map<number, Port>()
    const keys = new Set<string>()
    for (const run of runs) {
      for (const device of run.devices) {
        const key = `${run.id} ${device.index}`
        const number = this.numbers.get(key) ?? this.next++
        this.numbers.set(key, number)
        keys.add(key)
        ports.set(number, { run, device })
      }
    }
    for (const key of this.numbers.keys()) if (!keys.has(key)) this.numbers.delete(key)
    return ports
  }
}

const COMMANDS: Readonly<Record<string, { readonly help: string; readonly run: Command }>> = {
  '/': {
    help: 'All commands',
    run: () => Object.keys(COMMANDS).sort(),
  },
  '/ethdev/info': {
    help: 'What a device is: /ethdev/info,<port>',
    run: onPort(infoOf),
  },
  '/ethdev/link_status': {
    help: 'State and speed of a link: /ethdev/link_status,<port>',
    run: onPort(linkOf),
  },
  '/ethdev/list': {
    help: 'Numbers of all devices',
    run: (ports) => [...ports.keys()],
  },
  '/ethdev/stats': {
    help: 'Counters of a device: /ethdev/stats,<port>',
    run: onPort(({ device }) => statsOf(device)),
  },
  '/ethdev/xstats': {
    help: 'The same with every cause of drops: /ethdev/xstats,<port>',
    run: onPort(({ device }) => extendedOf(device)),
  },
  '/help': {
    help: 'What a command answers: /help,<command>',
    run: (_, name) => (Object.hasOwn(COMMANDS, name) ? { [name]: COMMANDS[name].help } : null),
  },
  '/info': { help: 'Who answers, and in how many bytes at most', run: introduction },
}

function onPort(use: (port: Port, number: number) => object): Command {
  return (ports, parameter) => {
    const number = /^\d{1,9}$/.test(parameter) ? Number(parameter) : NaN
    const port = ports.get(number)
    return port === undefined ? null : use(port, number)
  }
}

/** The queues of a device: where there is one, all goes through it. */
function queuesOf(device: DeviceState): readonly Pick<QueueState, 'queue' | 'rx' | 'tx' | 'dropped'>[] {
  return device.queues.length > 0 ? device.queues : [{ ...device, queue: 0 }]
}

function sumOf(dropped: Readonly<Record<string, number>>, causes: readonly string[]): number {
  return causes.reduce((sum, cause) => sum + (dropped[cause] ?? 0), 0)
}

function infoOf({ run, device }: Port, port_id: number): object {
  const queues = queuesOf(device).length
  return {
    name: device.label,
    state: 1,
    nb_rx_queues: queues,
    nb_tx_queues: queues,
    port_id,
    mac_addr: device.mac,
    dev_started: 1,
    // Not of DPDK: whose it is.
    model: device.model,
    app: run.command,
    pid: run.pid,
  }
}

function linkOf({ device }: Port): object {
  if (!device.linkUp) return { status: 'DOWN' }
  // RTE_ETH_SPEED_NUM_UNKNOWN
  return { status: 'UP', speed: device.linkMbit > 0 ? device.linkMbit : 0xffff_ffff, duplex: 'full-duplex' }
}

function statsOf(device: DeviceState): object {
  const { rx, tx, dropped } = device
  const queues = queuesOf(device)
  const each = (use: (queue: (typeof queues)[number]) => number): number[] =>
    Array.from({ length: STAT_QUEUES }, (_, at) => {
      const found = queues.find(({ queue }) => queue === at)
      return found === undefined ? 0 : use(found)
    })
  return {
    ipackets: rx.packets,
    opackets: tx.packets,
    ibytes: rx.bytes,
    obytes: tx.bytes,
    imissed: sumOf(dropped, MISSED),
    ierrors: sumOf(dropped, RX_ERRORS),
    oerrors: sumOf(dropped, TX_ERRORS),
    rx_nombuf: sumOf(dropped, NO_BUFFER),
    q_ipackets: each((queue) => queue.rx.packets),
    q_opackets: each((queue) => queue.tx.packets),
    q_ibytes: each((queue) => queue.rx.bytes),
    q_obytes: each((queue) => queue.tx.bytes),
    q_errors: each((queue) => sumOf(queue.dropped, OF_QUEUE)),
  }
}

function extendedOf(device: DeviceState): object {
  const { rx, tx, dropped } = device
  return {
    rx_good_packets: rx.packets,
    tx_good_packets: tx.packets,
    rx_good_bytes: rx.bytes,
    tx_good_bytes: tx.bytes,
    rx_missed_errors: sumOf(dropped, MISSED),
    rx_errors: sumOf(dropped, RX_ERRORS),
    tx_errors: sumOf(dropped, TX_ERRORS),
    rx_mbuf_allocation_errors: sumOf(dropped, NO_BUFFER),
    ...Object.fromEntries(
      queuesOf(device).flatMap(({ queue, rx, tx, dropped }) => [
        [`rx_q${queue}_packets`, rx.packets],
        [`rx_q${queue}_bytes`, rx.bytes],
        [`rx_q${queue}_errors`, sumOf(dropped, OF_QUEUE)],
        [`tx_q${queue}_packets`, tx.packets],
        [`tx_q${queue}_bytes`, tx.bytes],
      ]),
    ),
    ...Object.fromEntries(Object.entries(dropped).map(([cause, packets]) => [`dropped_${cause}`, packets])),
  }
}
