/** Notices a worker that doesn't come back from a step of its app, and finds out where it is. */
import { Session, url as debuggerUrl } from 'node:inspector'
import { isOurs } from '../bundles.ts'
import { pathOf } from '../stack-place.ts'
import { BEAT, IN_APP } from './worker-spec.ts'

/** Milliseconds between two looks. */
export const LOOK_EVERY = 1_000
/** So many looks in a row may find a worker in the same step; in the making of the app, which may have a lot to prepare. */
const PATIENCE = 2
const PATIENCE_AT_FIRST = 10
/** Milliseconds for a worker to say where it is. */
const ANSWER = 500

export class StepWatch {
  private readonly control: Int32Array
  private beat = 0
  private same = 0

  constructor(control: Int32Array) {
    this.control = control
  }

  /** To be asked every LOOK_EVERY milliseconds. */
  isStuck(): boolean {
    const beat = this.control[BEAT]
    const same = this.control[IN_APP] === 1 && beat === this.beat
    this.same = same ? this.same + 1 : 0
    this.beat = beat
    // Whoever debugs it stops it on purpose.
    if (debuggerUrl() !== undefined) return false
    return this.same >= (beat === 0 ? PATIENCE_AT_FIRST : PATIENCE)
  }

  /** Its last look has found it in code of the app's. */
  get inApp(): boolean {
    return this.control[IN_APP] === 1
  }
}

/**
 * The place in the app where the worker of that thread id is at this moment, `file:line:column`; null if it doesn't say. It goes
 * on afterwards.
 */
export async function whereIs(threadId: number): Promise<string | null> {
  const session = new Session()
  try {
    session.connect()
    return await new Promise((resolve) => {
      setTimeout(() => resolve(null), ANSWER).unref()
      ask(session, threadId, resolve)
    })
  } catch {
    return null
  } finally {
    session.disconnect()
  }
}

interface Frame {
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber: number }
}

type FromDebugger =
  | {
      readonly method: 'Debugger.scriptParsed'
      readonly params: { readonly scriptId: string; readonly url: string }
    }
  | { readonly method: 'Debugger.paused'; readonly params: { readonly callFrames: readonly Frame[] } }

function ask(session: Session, threadId: number, answer: (place: string | null) => void): void {
  const urls = new Map<string, string>()
  let id = 1
  session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
    // Its id is the inspector's own.
    if (!workerInfo.title.startsWith(`[worker ${threadId}]`)) return
    const send = (method: string): void =>
      session.post('NodeWorker.sendMessageToWorker', {
        sessionId,
        message: JSON.stringify({ id: id++, method }),
      })
    session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
      if (params.sessionId !== sessionId) return
      const message = JSON.parse(params.message) as FromDebugger
      if (message.method === 'Debugger.scriptParsed') urls.set(message.params.scriptId, message.params.url)
      if (message.method !== 'Debugger.paused') return
      // One that is paused can't be ended.
      send('Debugger.resume')
      send('Debugger.disable')
      answer(placeOf(message.params.callFrames, urls))
    })
    send('Debugger.enable')
    send('Debugger.pause')
  })
  session.post('NodeWorker.enable', { waitForDebuggerOnStart: false })
}

function placeOf(frames: readonly Frame[], urls: ReadonlyMap<string, string>): string | null {
  for (const { location } of frames) {
    const file = pathOf(urls.get(location.scriptId) ?? '')
    if (!file.startsWith('/') || isOurs(file)) continue
    return `${file}:${location.lineNumber + 1}:${location.columnNumber + 1}`
  }
  return null
}
