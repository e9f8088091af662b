/** `stats --live`: the state of all runs on a terminal, drawn anew when it changes. */
import type { ChalkInstance } from 'chalk'
import type { Outlet } from '../output/outlet.ts'
import type { Collector } from './collector.ts'
import { type View, liveScreen } from './live-screen.ts'
import type { Style } from './screen-line.ts'
import { Terminal } from './terminal.ts'

interface Surroundings {
  readonly outlet: Outlet
  readonly chalk: ChalkInstance
  readonly stop: () => void
  /** Where the same is served, '' if it isn't. */
  readonly served: string
  /** What to say when nothing runs. */
  readonly nothing: string
  /** Processes that don't answer, and have never introduced themselves. */
  readonly silent: () => readonly string[]
}

/** Resolves when the collector ends, and asks it to at `q`. The terminal is as before then. */
export async function showLive(collector: Collector, around: Surroundings): Promise<void> {
  const { chalk, stop } = around
  const paint = (text: string, style: Style): string => (style === 'plain' ? text : chalk[style](text))
  let view: Omit<View, 'silent'> = {
    unit: 'packets',
    queues: false,
    scroll: 0,
    served: around.served,
    nothing: around.nothing,
    unicode: showsUnicode(),
  }
  let mostScroll = 0
  const draw = (): void => {
    const shown = { ...view, silent: around.silent() }
    const screen = liveScreen(collector.stateWithHistory, shown, terminal.size, paint)
    mostScroll = screen.mostScroll
    view = { ...view, scroll: Math.min(view.scroll, mostScroll) }
    terminal.draw(screen.lines)
  }
  const key = (pressed: string): void => {
    const { unit, queues, scroll } = view
    if (pressed === 'q' || pressed === 'Q') return stop()
    if (pressed === 'b') view = { ...view, unit: unit === 'packets' ? 'bits' : 'packets' }
    if (pressed === 'u') view = { ...view, queues: !queues }
    if (pressed === 'j' || pressed === DOWN) view = { ...view, scroll: Math.min(scroll + 1, mostScroll) }
    if (pressed === 'k' || pressed === UP) view = { ...view, scroll: Math.max(scroll - 1, 0) }
    draw()
  }
  const terminal = new Terminal(around.outlet, { key, redraw: draw, stop })
  const unsubscribe = collector.subscribe(draw)
  try {
    await collector.run()
  } finally {
    unsubscribe()
    terminal.close()
  }
}

const UP = '\x1b[A'
const DOWN = '\x1b[B'

/** By the locale, as C programs do. */
function showsUnicode(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== '')
  return /utf-?8/i.test(locale ?? '')
}
