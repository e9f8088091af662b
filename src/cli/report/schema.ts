/** What a report needs of the objects of `--json` (docs/output.md). Other keys are passed over: more may be added. */
import * as v from 'valibot'

const count = v.pipe(v.number(), v.finite())
const text = v.string()
const owner = { pid: v.optional(count), command: v.optional(text) }
const counters = v.record(text, count)
const traffic = v.object({ packets: count, bytes: count })
const place = { device: text, index: count }

export const START = v.object({
  time: text,
  version: text,
  command: text,
  devices: v.array(
    v.object({
      ...place,
      ...owner,
      model: text,
      mac: text,
      access: text,
      linkUp: v.boolean(),
      linkMbit: count,
    }),
  ),
  lineRateLimited: v.optional(v.boolean()),
  arguments: v.optional(v.array(text)),
  system: v.optional(v.object({ host: text, kernel: text, cpu: text, cpus: count, node: text })),
})

export const INTERVAL = v.object({
  ...place,
  ...owner,
  elapsed: count,
  seconds: v.pipe(count, v.minValue(0)),
  queue: v.nullable(count),
  rx: traffic,
  tx: traffic,
  dropped: counters,
  total: v.optional(v.object({ rx: traffic, tx: traffic, dropped: counters })),
})

export const APP = v.object({ ...owner, app: text, total: counters })

export const LINK = v.object({ ...place, time: text, up: v.boolean() })

const direction = v.object({
  packets: count,
  bytes: count,
  packetsPerSecond: v.optional(count),
  bitsPerSecond: v.optional(count),
  peakPacketsPerSecond: v.optional(count),
  peakBitsPerSecond: v.optional(count),
})

const time = v.nullable(count)

const LATENCY = v.object({
  ...{
    sent: count,
    returned: count,
    lost: count,
    duplicated: count,
    damaged: count,
    foreign: count,
    late: count,
  },
  count,
  ...{
    min: time,
    mean: time,
    p50: time,
    p90: time,
    p99: time,
    p999: time,
    p9999: time,
    p99999: time,
    max: time,
  },
  histogram: v.optional(v.array(v.tuple([count, count]))),
})

const SAMPLED_TIMES = v.object({
  min: time,
  mean: time,
  p50: time,
  p90: time,
  p99: time,
  p999: time,
  p9999: time,
  max: time,
})

const END_OF_WAY = v.object({ device: text, index: v.nullable(count) })

const BALANCE = v.object({
  from: END_OF_WAY,
  to: END_OF_WAY,
  ...{ offered: count, returned: count, copies: count, corrupted: count, arrived: count, underWay: count },
  ...{ filteredOut: count, unaccounted: count },
  lost: v.array(v.object({ place: text, cause: text, frames: count })),
})

const LOSS = v.object({
  judged: v.boolean(),
  reason: text,
  ...{ lost: count, corrupted: count, of: count, unaccounted: count, ratio: count },
})

const rate = v.object({ packetsPerSecond: count, bitsPerSecond: count, share: count })
const found = v.nullish(
  v.object({
    ...{ packetsPerSecond: v.nullable(count), bitsPerSecond: v.nullable(count), share: v.nullable(count) },
    ...{ forwarded: v.nullable(rate), reached: v.boolean(), testerLimited: v.boolean() },
  }),
)

/** Of docs/rfc2544.md. What was not tested is missing or null. */
const RFC2544 = v.object({
  complete: v.boolean(),
  directions: count,
  trials: count,
  linkMbit: count,
  sizes: v.array(
    v.object({
      frameBytes: count,
      lineRate: rate,
      ...{ throughput: found, ndr: found, pdr: found },
      latency: v.nullish(
        v.object({
          load: v.nullable(rate),
          ...{
            trials: count,
            min: count,
            mean: count,
            p50: count,
            p90: count,
            p99: count,
            p999: count,
            max: count,
          },
          lost: count,
        }),
      ),
      loss: v.nullish(
        v.array(
          v.object({
            ...{ share: count, offered: v.nullable(rate), sent: count, lost: count, lossRatio: count },
            unusable: v.nullable(text),
          }),
        ),
      ),
      backToBack: v.nullish(
        v.object({ frames: count, searches: count, load: v.nullable(rate), atLeast: v.boolean() }),
      ),
      reset: v.nullish(v.object({ load: v.nullable(rate), byLoss: count, byTime: count, lost: count })),
    }),
  ),
})

export const END = v.object({
  time: v.optional(text),
  elapsed: count,
  activeSeconds: v.optional(count),
  lineRateLimited: v.optional(v.boolean()),
  devices: v.array(
    v.object({
      ...place,
      ...owner,
      queue: v.optional(v.nullable(count), null),
      rx: direction,
      tx: direction,
      dropped: counters,
    }),
  ),
  reason: text,
  error: v.nullable(v.object({ code: text, message: text })),
  intervalsDropped: v.optional(count, 0),
  virtual: v.optional(
    v.array(
      v.object({
        ...place,
        wires: v.array(v.object({ wire: text, counters, notJudged: v.optional(text) })),
        breaches: v.array(v.object({ rule: text, count })),
        final: v.boolean(),
      }),
    ),
    [],
  ),
  app: v.optional(v.object({ name: text, counters })),
  apps: v.optional(v.array(v.object({ ...owner, name: text, counters })), []),
  balance: v.optional(v.array(BALANCE), []),
  loss: v.optional(LOSS),
  latencyMicroseconds: v.optional(LATENCY),
  jitterMicroseconds: v.optional(v.object({ mean: time, max: time, smoothed: time })),
  reordering: v.optional(
    v.object({
      ...{ of: count, reordered: count, ratio: v.nullable(count), beyond: count, queues: count },
      ...{ extentMean: v.nullable(count), extentMax: v.nullable(count) },
    }),
  ),
  wireLatency: v.optional(
    v.object({
      unavailable: v.nullable(text),
      ...{ sent: count, count, lost: count, unstamped: count, disbelieved: count },
      wireMicroseconds: SAMPLED_TIMES,
      programMicroseconds: SAMPLED_TIMES,
    }),
  ),
  streams: v.optional(
    v.array(v.object({ name: text, sent: count, returned: v.nullable(count), lost: v.nullable(count) })),
  ),
  answered: v.optional(counters),
  rfc2544: v.optional(RFC2544),
})

export type Start = v.InferOutput<typeof START>
export type Interval = v.InferOutput<typeof INTERVAL>
export type AppCounters = v.InferOutput<typeof APP>
export type Link = v.InferOutput<typeof LINK>
export type End = v.InferOutput<typeof END>

/** Throws a SyntaxError that names the key that is missing or of another type. */
export function parsed<Schema extends v.GenericSchema>(
  schema: Schema,
  object: unknown,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, object)
  if (result.success) return result.output
  const [issue] = result.issues
  const key = v.getDotPath(issue) ?? 'it'
  if (issue.received === 'undefined') throw new SyntaxError(`${key} is missing`)
  throw new SyntaxError(`${key}: expected ${issue.expected ?? 'something else'}, not ${issue.received}`)
}
