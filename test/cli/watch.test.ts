import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Reporter } from '../../src/cli/output/reporter.ts'
import type { Owner } from '../../src/cli/output/tally.ts'
import { type WatchOptions, watch } from '../../src/cli/watch.ts'
import { difference } from '../../src/engine/intervals.ts'
import { type TelemetryServer, serveTelemetry } from '../../src/engine/telemetry.ts'
import type { DeviceCounters, DeviceInfo, IntervalEvent } from '../../src/engine/types.ts'

function info(index: number, device: string): DeviceInfo {
  return { index, device, model: 'm', mac: 'a', access: 'sysfs', linkUp: true, linkMbit: 10_000 }
}

function counters(index: number, device: string, packets: number): DeviceCounters {
  const traffic = { packets, bytes: packets * 60 }
  return { index, device, queue: null, rx: traffic, tx: traffic, dropped: { missed: packets / 10 } }
}

class Recorder implements Reporter {
  readonly started: DeviceInfo[] = []
  readonly intervals: { event: IntervalEvent; owners: readonly Owner[] }[] = []
  onInterval: () => void = () => undefined
  start(devices: readonly DeviceInfo[]): void {
    this.started.push(...devices)
  }
  interval(event: IntervalEvent, owners: readonly Owner[] = []): void {
    this.intervals.push({ event, owners })
    this.onInterval()
  }
  link(): void {
    throw new Error('stats knows of no links')
  }
  end(): void {
    throw new Error('watch() leaves the end to its caller')
  }
}

describe('watch', () => {
  let directory: string
  let server: TelemetryServer
  let total = 0
  let recorder: Recorder
  beforeEach(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
    recorder = new Recorder()
    total = 0
    const devices = [info(0, 'virtual:gen'), info(1, '0000:03:00.0')]
    server = await serveTelemetry(directory, { command: 'forward', version: '1', devices }, () => {
      total += 100
      return {
        time: performance.now() / 1000,
        devices: devices.map(({ index, device }) => counters(index, device, total)),
      }
    })
  })
  afterEach(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })
  const options = (changes: Partial<WatchOptions> = {}): WatchOptions => ({
    directory,
    devices: [],
    interval: 0.02,
    duration: null,
    stop: new AbortController().signal,
    ...changes,
  })

  test('reports what was counted between two samples, and whose it is', async () => {
    const stop = new AbortController()
    recorder.onInterval = () => {
      if (recorder.intervals.length === 3) stop.abort()
    }
    const result = await watch(options({ stop: stop.signal }), recorder)
    expect(recorder.started.map(({ device }) => device)).toEqual(['virtual:gen', '0000:03:00.0'])
    expect(recorder.intervals).toHaveLength(3)
    for (const { event, owners } of recorder.intervals) {
      expect(event.devices).toEqual([counters(0, 'virtual:gen', 100), counters(1, '0000:03:00.0', 100)])
      expect(owners).toEqual([
        { pid: process.pid, command: 'forward' },
        { pid: process.pid, command: 'forward' },
      ])
    }
    expect(result?.reason).toBe('signal')
    expect(result?.devices.map(({ rx }) => rx.packets)).toEqual([300, 300])
    expect(result?.devices.map(({ owner }) => owner)).toEqual(recorder.intervals[0].owners)
  })

  test('shows only the devices that were named', async () => {
    const result = await watch(options({ devices: ['0000:03:00.0'], duration: 0.03 }), recorder)
    expect(result?.reason).toBe('duration')
    expect(result?.devices.map(({ device }) => device)).toEqual(['0000:03:00.0'])
    expect(
      new Set(recorder.intervals.flatMap(({ event }) => event.devices.map(({ device }) => device))),
    ).toEqual(new Set(['0000:03:00.0']))
  })

  test('a duration shorter than the interval still shows one', async () => {
    await watch(options({ interval: 60, duration: 0.01 }), recorder)
    expect(recorder.intervals).toHaveLength(1)
  })

  test('ends when everything watched has ended', async () => {
    recorder.onInterval = () => server.close()
    const result = await watch(options(), recorder)
    expect(result?.reason).toBe('done')
    expect(recorder.intervals).toHaveLength(1)
  })

  test('is null, without a word, when there is nothing to show', async () => {
    expect(await watch(options({ devices: ['0000:09:00.0'] }), recorder)).toBeNull()
    server.close()
    expect(await watch(options(), recorder)).toBeNull()
    expect(recorder.started).toEqual([])
  })
})

test('a device or cause that is new counts from zero', () => {
  const now = [counters(0, 'a', 30), counters(1, 'b', 10)]
  expect(difference(now, [{ ...counters(0, 'a', 10), dropped: {} }])).toEqual([
    { ...counters(0, 'a', 20), dropped: { missed: 3 } },
    counters(1, 'b', 10),
  ])
})
