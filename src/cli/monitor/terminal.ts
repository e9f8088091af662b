/** A terminal that a program has to itself: its other screen, its keys, its size. */
import type { Outlet } from '../output/outlet.ts'
import type { Size } from './live-screen.ts'

const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const TO_TOP = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_REST = '\x1b[J'
const CTRL_C = '\x03'
const CTRL_Z = '\x1a'
/** What a cursor or function key sends, or a character. */
const KEY = /\p{Cc}[[O][0-9;]*[A-Za-z~]|./gsu

/** Where a terminal doesn't know its size. */
const DEFAULT_SIZE: Size = { columns: 80, rows: 24 }

export interface TerminalEvents {
  /** A key, or the sequence of a cursor key. */
  key(key: string): void
  /** Another size, or back from Ctrl-Z: everything is to be drawn. */
  redraw(): void
  /** Ctrl-C. */
  stop(): void
}

export class Terminal {
  private readonly outlet: Outlet
  private readonly events: TerminalEvents
  private readonly undo: (() => void)[] = []
  /** What was to be drawn while the terminal was still busy. */
  private waiting: string | null = null

  /** Takes the terminal; close() gives it back. Keys come from stdin, if that is a terminal. */
  constructor(outlet: Outlet, events: TerminalEvents) {
    this.outlet = outlet
    this.events = events
    outlet.write(ENTER)
    outlet.onEmpty(() => this.show())
    const redraw = (): void => events.redraw()
    process.on('SIGWINCH', redraw)
    this.undo.push(() => process.off('SIGWINCH', redraw))
    this.listen()
  }

  get size(): Size {
    return this.outlet.size ?? DEFAULT_SIZE
  }

  /** Only the newest, once the terminal has taken what came before: it may be slow, or stopped (^S). */
  draw(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n')
    this.waiting = TO_TOP + text + CLEAR_REST
    this.show()
  }

  private show(): void {
    if (this.waiting !== null && this.outlet.offer(this.waiting, 0)) this.waiting = null
  }

  close(): void {
    for (const undo of this.undo.splice(0)) undo()
    this.waiting = null
    this.outlet.write(LEAVE)
  }

  private listen(): void {
    const { stdin } = process
    if (!stdin.isTTY) return
    const hear = (text: Buffer): void => {
      // Several come at once where somebody types fast, or pastes.
      for (const [key] of text.toString().matchAll(KEY)) {
        if (key === CTRL_C) this.events.stop()
        else if (key === CTRL_Z) void this.pause()
        else this.events.key(key)
      }
    }
    const goOn = (): void => {
      stdin.setRawMode(true)
      this.outlet.write(ENTER)
      this.events.redraw()
    }
    process.on('SIGCONT', goOn)
    stdin.setRawMode(true)
    stdin.on('data', hear)
    stdin.on('error', () => undefined)
    this.undo.push(() => {
      process.off('SIGCONT', goOn)
      stdin.off('data', hear)
      stdin.setRawMode(false)
      stdin.pause()
    })
  }

  /** The shell gets its screen while this process is stopped. */
  private async pause(): Promise<void> {
    process.stdin.setRawMode(false)
    this.outlet.write(LEAVE)
    await this.outlet.flushed()
    process.kill(process.pid, 'SIGTSTP')
  }
}
