/** The page of `stats --listen`: every run of the machine, as it is now. */
import type { MonitorState, RunState } from '../cli/monitor/state.ts'
import { RunPanel } from './run-panel.ts'

/** Panels of runs that have ended: the oldest go. */
const ENDED_KEPT = 8
/** Milliseconds until a connection that was refused is tried again. */
const AGAIN = 2000

const byId = (id: string): HTMLElement => {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no #${id}`)
  return element
}
const [title, status, span, pause, runs, none] = ['title', 'status', 'span', 'pause', 'runs', 'none'].map(
  byId,
)

const panels = new Map<string, RunPanel>()
const newest = new Map<string, RunState>()
let paused = false
let interval = 1

function panelOf(run: RunState): RunPanel {
  const found = panels.get(run.id)
  if (found !== undefined) return found
  const panel = new RunPanel(run)
  panels.set(run.id, panel)
  runs.append(panel.element)
  return panel
}

function take(state: MonitorState): void {
  interval = state.interval
  title.textContent = `ixy-ts on ${state.host}`
  document.title = `ixy-ts on ${state.host}`
  const here = new Set(state.runs.map(({ id }) => id))
  for (const run of state.runs) {
    const panel = panelOf(run)
    panel.past.addHistory(run)
    if (run.seconds !== null) panel.past.add(state.time, run)
    newest.set(run.id, run)
  }
  for (const [id, panel] of panels) if (!here.has(id) && !panel.ended) panel.end()
  const ended = [...panels].filter(([, panel]) => panel.ended)
  for (const [id, panel] of ended.slice(0, Math.max(0, ended.length - ENDED_KEPT))) {
    panel.remove()
    panels.delete(id)
    newest.delete(id)
  }
  none.hidden = panels.size > 0
  if (!paused) show()
}

function show(): void {
  const seconds = Number((span as HTMLSelectElement).value)
  for (const [id, panel] of panels) {
    const run = newest.get(id)
    if (run !== undefined && !panel.ended) panel.show(run, seconds)
  }
  if (!paused) status.textContent = `live, every ${interval} s`
}

function setPaused(to: boolean): void {
  paused = to
  pause.setAttribute('aria-pressed', String(to))
  if (to) status.textContent = 'paused'
  else show()
}

function connect(): void {
  const events = new EventSource('events')
  events.onopen = () => {
    // What was before, or while there was no connection.
    fetch('stats.json')
      .then(async (response) => take((await response.json()) as MonitorState))
      .catch(() => undefined)
  }
  events.onmessage = ({ data }) => take(JSON.parse(String(data)) as MonitorState)
  events.onerror = () => {
    status.textContent = 'no connection; trying again'
    if (events.readyState !== EventSource.CLOSED) return
    setTimeout(connect, AGAIN)
  }
}

pause.addEventListener('click', () => setPaused(!paused))
span.addEventListener('change', show)
document.addEventListener('keydown', (event) => {
  if (event.key === 'p' && !event.ctrlKey && !event.altKey && !event.metaKey) setPaused(!paused)
})
connect()
