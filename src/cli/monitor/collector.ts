/** Asks every running ixy-ts once per interval, and keeps what they say for all who want to see it: nobody else asks. */
import { hostname } from 'node:os'
import { everyInterval } from '../../engine/intervals.ts'
import { VERSION } from '../../version.ts'
import { Running, type SearchOptions, type Watched } from '../running.ts'
import { RunRecord } from './run-record.ts'
import type { MonitorState } from './state.ts'

export interface CollectorOptions extends SearchOptions {
  /** Seconds. */
  readonly interval: number
  /** Seconds, null: until it is stopped. */
  readonly duration: number | null
  readonly stop: AbortSignal
}

export class Collector {
  private readonly options: CollectorOptions
  private readonly running: Running
  private readonly records = new Map<Watched, RunRecord>()
  private readonly listeners = new Set<(state: MonitorState) => void>()
  private newest: MonitorState

  constructor(options: CollectorOptions) {
    this.options = options
    this.running = new Running(options)
    this.newest = this.describe(new Date().toISOString())
  }

  get state(): MonitorState {
    return this.newest
  }

  /** The same with the intervals before. */
  get stateWithHistory(): MonitorState {
    const runs = [...this.records.values()].map((record) => ({ ...record.state, history: record.history }))
    return { ...this.newest, runs }
  }

  /** Processes that don't answer and have never introduced themselves: `pid 4711 is stopped`. */
  get strangers(): readonly string[] {
    return this.running.silentStrangers
  }

  /** Calls `listener` after every question; returns what ends that. */
  subscribe(listener: (state: MonitorState) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Resolves when the duration is over or it is stopped. */
  async run(): Promise<'duration' | 'signal'> {
    const { interval: seconds, duration, stop } = this.options
    try {
      await this.look()
      const pace = { start: performance.now(), seconds, duration: duration ?? Infinity }
      await everyInterval(pace, stop, () => this.look())
      return stop.aborted ? 'signal' : 'duration'
    } finally {
      this.running.close()
    }
  }

  private async look(): Promise<void> {
    const answers = new Map((await this.running.ask()).map(({ watched, before }) => [watched, before]))
    const time = new Date().toISOString()
    for (const [watched, record] of this.records) {
      const before = answers.get(watched)
      if (!this.running.live.includes(watched)) this.records.delete(watched)
      else if (before === undefined) record.fallSilent()
      else record.take(before, time)
    }
    for (const watched of await this.running.newcomers())
      this.records.set(watched, new RunRecord(watched, this.running))
    this.newest = this.describe(time)
    for (const listener of this.listeners) listener(this.newest)
  }

  private describe(time: string): MonitorState {
    return {
      time,
      version: VERSION,
      host: hostname(),
      interval: this.options.interval,
      runs: [...this.records.values()].map(({ state }) => state),
    }
  }
}
