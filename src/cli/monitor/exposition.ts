/**
 * The text formats that Prometheus reads: its own (version 0.0.4) and OpenMetrics (1.0.0). Names and units are as node_exporter's;
 * counters of a device and of its queues have different names, so that a sum() counts nothing twice.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and RFC-like text at https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import type { DeviceState, MonitorState, QueueState, RunState } from './state.ts'

export type Format = 'prometheus' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

type Labels = Readonly<Record<string, string | number>>

interface Metric {
  readonly labels: Labels
  readonly value: number
  /** Of a histogram: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string
}

interface Family {
  /** Without `_total` and `_info`. */
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'info' | 'histogram'
  readonly help: string
  readonly metrics: readonly Metric[]
}

/** Everything that a scrape gets. */
export function exposition(state: MonitorState, format: Format): string {
  const open = format === 'openmetrics'
  const lines = familiesOf(state)
    .filter(({ metrics }) => metrics.length > 0)
    .flatMap(({ name, type, help, metrics }) => {
      const suffix = { counter: '_total', info: '_info', gauge: '', histogram: '' }[type]
      // The older format calls a family as its samples, and knows no infos.
      const called = open ? name : name + suffix
      return [
        `# HELP ${called} ${help}`,
        `# TYPE ${called} ${type === 'info' && !open ? 'gauge' : type}`,
        ...metrics.map(
          (metric) => `${name}${metric.suffix ?? suffix}${labelText(metric.labels)} ${metric.value}`,
        ),
      ]
    })
  return `${[...lines, ...(open ? ['# EOF'] : [])].join('\n')}\n`
}

/** Which of the two a client wants, by its `Accept`. */
export function formatFor(accept: string | undefined): Format {
  const wanted = (accept ?? '').split(',').some((range) => {
    const [type, ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
    const version = parameters.find((parameter) => parameter.startsWith('version='))
    return (
      type === 'application/openmetrics-text' &&
      !refused &&
      ['version=1.0.0', 'version=0.0.1', undefined].includes(version)
    )
  })
  return wanted ? 'openmetrics' : 'prometheus'
}

function familiesOf({ version, runs }: MonitorState): Family[] {
  return [
    {
      name: 'ixy_stats',
      type: 'info',
      help: 'Version of the ixy-ts that tells all this.',
      metrics: [{ labels: { version }, value: 1 }],
    },
    {
      name: 'ixy_run',
      type: 'info',
      help: 'A running ixy-ts.',
      metrics: runs.map((run) => ({ labels: { ...ofRun(run), version: run.version }, value: 1 })),
    },
    {
      name: 'ixy_run_up',
      type: 'gauge',
      help: 'Whether the run answers: 0 while it is stopped or hangs. Its counters are the last known then.',
      metrics: runs.map((run) => ({ labels: ofRun(run), value: run.state === 'running' ? 1 : 0 })),
    },
    {
      name: 'ixy_run_start_time_seconds',
      type: 'gauge',
      help: 'When the run began, in seconds since 1970.',
      metrics: runs.flatMap((run) =>
        run.startedAt === null ? [] : [{ labels: ofRun(run), value: Date.parse(run.startedAt) / 1000 }],
      ),
    },
    {
      name: 'ixy_device',
      type: 'info',
      help: 'A device of a run.',
      metrics: perDevice(runs, ({ model, mac, access }, labels) => [
        { labels: { ...labels, model, mac, access }, value: 1 },
      ]),
    },
    {
      name: 'ixy_link_up',
      type: 'gauge',
      help: 'Whether the link of the device is up.',
      metrics: perDevice(runs, ({ linkUp }, labels) => [{ labels, value: linkUp ? 1 : 0 }]),
    },
    {
      name: 'ixy_link_speed_bytes',
      type: 'gauge',
      help: 'Speed of the link in bytes per second. Missing while it is down, or if the device does not tell.',
      metrics: perDevice(runs, ({ linkMbit }, labels) =>
        linkMbit > 0 ? [{ labels, value: linkMbit * 125_000 }] : [],
      ),
    },
    ...counterFamilies('ixy', 'the device', (use) => perDevice(runs, use)),
    ...counterFamilies('ixy_queue', 'the queue, where a device has several', (use) =>
      perDevice(runs, ({ queues }, labels) =>
        queues.flatMap((queue) => use(queue, { ...labels, queue: queue.queue })),
      ),
    ),
    {
      name: 'ixy_worker_polls',
      type: 'counter',
      help: 'Polls of a data-plane worker.',
      metrics: perWorker(runs, 'polls'),
    },
    {
      name: 'ixy_worker_useful_polls',
      type: 'counter',
      help: 'Polls of a data-plane worker that moved packets.',
      metrics: perWorker(runs, 'usefulPolls'),
    },
    {
      name: 'ixy_app_events',
      type: 'counter',
      help: "The app's own counters.",
      metrics: runs.flatMap((run) =>
        Object.entries(run.app?.counters ?? {}).map(([counter, value]) => ({
          labels: { ...ofRun(run), counter },
          value,
        })),
      ),
    },
    {
      name: 'ixy_probe_packets',
      type: 'counter',
      help: 'Packets of pktgen --latency by what became of them. Those sent and not returned are lost or under way.',
      metrics: runs.flatMap((run) =>
        PROBE_FATES.flatMap((fate) => {
          const value = run.latency?.total[fate]
          return typeof value === 'number' ? [{ labels: { ...ofRun(run), fate }, value }] : []
        }),
      ),
    },
    {
      name: 'ixy_round_trip_seconds',
      type: 'histogram',
      help: 'Round-trip times that pktgen --latency has measured.',
      metrics: runs.flatMap(roundTrips),
    },
  ]
}

const PROBE_FATES = ['sent', 'returned', 'duplicated', 'damaged', 'late', 'foreign'] as const

type Counters = Pick<QueueState, 'rx' | 'tx' | 'dropped'>
type Use = (counters: Counters, labels: Labels) => Metric[]

function counterFamilies(prefix: string, of: string, each: (use: Use) => Metric[]): Family[] {
  const counter = (name: string, help: string, use: Use): Family => ({
    name: `${prefix}_${name}`,
    type: 'counter',
    help: `${help} of ${of}.`,
    metrics: each(use),
  })
  return [
    counter('receive_packets', 'Received packets', ({ rx }, labels) => [{ labels, value: rx.packets }]),
    counter('receive_bytes', 'Received bytes, without FCS,', ({ rx }, labels) => [
      { labels, value: rx.bytes },
    ]),
    counter('transmit_packets', 'Sent packets', ({ tx }, labels) => [{ labels, value: tx.packets }]),
    counter('transmit_bytes', 'Sent bytes, without FCS,', ({ tx }, labels) => [{ labels, value: tx.bytes }]),
    counter('dropped_packets', 'Packets dropped, by cause,', ({ dropped }, labels) =>
      Object.entries(dropped).map(([cause, value]) => ({ labels: { ...labels, cause }, value })),
    ),
  ]
}

function ofRun({ pid, command }: RunState): Labels {
  return { pid, app: command }
}

function perDevice(
  runs: readonly RunState[],
  use: (device: DeviceState, labels: Labels) => Metric[],
): Metric[] {
  return runs.flatMap((run) =>
    run.devices.flatMap((device) =>
      use(device, { device: device.device, index: device.index, ...ofRun(run) }),
    ),
  )
}

function perWorker(runs: readonly RunState[], which: 'polls' | 'usefulPolls'): Metric[] {
  return runs.flatMap((run) =>
    run.workers.map((worker) => ({
      labels: { worker: worker.worker, ...ofRun(run) },
      value: worker[which],
    })),
  )
}

/** Buckets end at a power of two less one, in nanoseconds, as the run's own do: from 1 µs to 17 s. */
const BUCKET_BITS = Array.from({ length: 25 }, (_, i) => 10 + i)

function roundTrips(run: RunState): Metric[] {
  if (run.latency === null) return []
  const { histogram, sumNanoseconds } = run.latency
  const labels = ofRun(run)
  const upTo = (nanoseconds: number): number =>
    histogram.reduce((sum, [longest, count]) => (longest <= nanoseconds ? sum + count : sum), 0)
  const all = upTo(Infinity)
  return [
    ...BUCKET_BITS.map((bits) => {
      const longest = 2 ** bits - 1
      return { suffix: '_bucket', labels: { ...labels, le: String(longest / 1e9) }, value: upTo(longest) }
    }),
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: all },
    { suffix: '_sum', labels, value: sumNanoseconds / 1e9 },
    { suffix: '_count', labels, value: all },
  ]
}

function labelText(labels: Labels): string {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`)
  return texts.length === 0 ? '' : `{${texts.join(',')}}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
