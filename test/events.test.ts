/** docs/events.schema.json: strict enough to see what the tool should not print, and explained in docs/output.md, what is rfc2544's in docs/rfc2544.md. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { SCHEMA, mistakeIn, requireEvents } from './events.ts'

const OUTPUT = ['output.md', 'rfc2544.md']
  .map((name) => readFileSync(path.join(__dirname, '../docs', name), 'utf8'))
  .join('\n')

type Json = Record<string, unknown>

/** Names of all keys of objects that the schema describes. */
function keysIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  if (Array.isArray(schema)) return schema.flatMap(keysIn)
  return Object.entries(schema as Json).flatMap(([name, value]) => [
    ...(name === 'properties' ? Object.keys(value as Json) : []),
    ...(name === '$defs' || name === 'properties'
      ? Object.values(value as Json).flatMap(keysIn)
      : keysIn(value)),
  ])
}

test('docs/output.md and docs/rfc2544.md name every event and every key', () => {
  const events = SCHEMA.oneOf.map(({ $ref }) => $ref.replace('#/$defs/', ''))
  const keys = [...new Set([...events, ...keysIn(SCHEMA)])]
  expect(keys).toContain('underWay')
  const prose = OUTPUT.replace(/^```[^]*?^```/gm, '')
  const words = new Set([...prose.matchAll(/`([^`]+)`/g)].flatMap(([, code]) => code.match(/\w+/g) ?? []))
  expect(keys.filter((key) => !words.has(key))).toEqual([])
})

const time = '2026-01-02T03:04:05.067Z'
const moved = { packets: 3, bytes: 180 }
const traffic = { ...moved, mpps: 0.1, mbit: 1, packetsPerSecond: 1e5, bitsPerSecond: 1e6 }
const total = { ...traffic, peakMpps: 0.1, peakMbit: 1, peakPacketsPerSecond: 1e5, peakBitsPerSecond: 1e6 }
const port = { device: 'virtual:gen', index: 0 }
const SAMPLES: readonly Json[] = [
  {
    ...{ event: 'start', time, version: '1.2.3', command: 'forward', lineRateLimited: true },
    devices: [
      { ...port, model: 'Intel', mac: '52:54:00:00:00:01', access: 'vfio', linkUp: true, linkMbit: 10_000 },
    ],
  },
  {
    ...{ event: 'interval', time, elapsed: 1, seconds: 1, ...port, queue: null, rx: traffic, tx: traffic },
    dropped: { missed: 1 },
    total: { rx: moved, tx: moved, dropped: {} },
  },
  { event: 'link', time, ...port, up: false },
  {
    ...{ event: 'packet', time: '2026-01-02T03:04:05.067890123Z', length: 64, text: 'IP' },
    ethernet: { source: '52:54:00:00:00:01', destination: '52:54:00:00:00:02', type: 0x800 },
    inner: { length: 20 },
  },
  {
    ...{ event: 'end', time, elapsed: 1, activeSeconds: 1, reason: 'error' },
    devices: [{ ...port, queue: 0, rx: total, tx: total, dropped: {} }],
    error: { code: 'IXY_ERR_DMA', message: 'no' },
    loss: {
      ...{ judged: true, reason: '', lost: 0, corrupted: 0, of: 3, unaccounted: 0 },
      bySequence: true,
      ratio: 0,
    },
  },
  {
    ...{ event: 'end', time, elapsed: 0, reason: 'done', error: null },
    devices: [{ ...port, queue: null, rx: moved, tx: moved, dropped: {}, pid: 7, command: 'forward' }],
  },
]

/** All that differ from `value` in one key at some depth. */
function* changed(value: unknown, change: (object: Json) => Iterable<Json>): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield* change(value as Json)
  for (const [key, part] of Object.entries(value))
    for (const other of changed(part, change)) {
      const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Json
      copy[key] = other
      yield copy
    }
}

/** Causes have any names. */
const isOpen = (object: Json): boolean => Object.keys(object).every((key) => key === 'missed')

const without = (key: string) => (object: Json) =>
  key in object ? [Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))] : []

describe('the schema', () => {
  test.each(SAMPLES)('takes $event as it should be', (sample) => {
    expect(mistakeIn(sample)).toBeNull()
  })

  test.each(SAMPLES)('refuses $event with one key more, at any depth', (sample) => {
    const more = [...changed(sample, (object) => (isOpen(object) ? [] : [{ ...object, surprise: 1 }]))]
    expect(more.length).toBeGreaterThan(0)
    for (const value of more) expect(mistakeIn(value)).toMatch(/surprise/)
  })

  test.each(SAMPLES)('refuses $event with a key less, or of another type', (sample) => {
    // Without activeSeconds it would be one of stats --once, whose devices are others; the others may be missing.
    const optional = ['lineRateLimited', 'loss', 'missed', 'inner', 'ethernet']
    const changes = function* (object: Json): Generator<Json> {
      for (const [key, value] of Object.entries(object)) {
        if (!optional.includes(key)) yield* without(key)(object)
        yield { ...object, [key]: typeof value === 'object' ? 'text' : [] }
      }
    }
    for (const value of changed(sample, changes)) expect([value, mistakeIn(value)]).not.toEqual([value, null])
  })

  test('knows no other events', () => {
    expect(mistakeIn({ event: 'surprise' })).toMatch(/no event "surprise"/)
    expect(mistakeIn(7)).toMatch(/no event/)
  })
})

test('an output is checked line by line, but for an end that was cut off', () => {
  const good = JSON.stringify(SAMPLES[2])
  expect(() => requireEvents(`${good}\n${good}\n{"event":"li`)).not.toThrow()
  expect(() => requireEvents(`${good}\n${good.replace('up', 'down')}\n`)).toThrow(
    /must have required property 'up'/,
  )
})
