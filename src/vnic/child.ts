/** The child process of a command with `virtual:<wire>` devices; see child-protocol.ts. */
import { rmdirSync } from 'node:fs'
import path from 'node:path'
import { asIxyError } from '../errors.ts'
import { compileLate } from '../inlining.ts'
import type { FromChild, NicReport, ToChild } from './child-protocol.ts'
import { NicHost } from './host.ts'
import { rehearse } from './rehearsal.ts'

/** Milliseconds between two looks at whether a wire has ended. */
const LOOK_EVERY = 20
/** Milliseconds between two looks at whether there is anything new to report: what is known of a process that was killed. */
const TELL_EVERY = 1000

/** Serves the parent behind the IPC channel until it says stop or goes away, then exits. Needs process.send. */
export function serveParent(): void {
  // A terminal sends these to both; the parent decides what becomes of us.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)
    process.on(signal, () => undefined)

  let host: NicHost | null = null
  /** Questions without an answer yet: who has asked must hear that this process lives. */
  let owed = 0
  /** Where the sockets are. A parent that was killed doesn't remove them any more. */
  let directories: readonly string[] = []
  const tell = (message: FromChild): void => {
    if (process.connected) process.send?.(message)
  }
  const answer = (id: number): void => {
    owed--
    tell({ type: 'report', id, nics: host?.reports() ?? [] })
  }
  const leave = (error: unknown): void => {
    let failure = error
    try {
      host?.close()
    } catch (closing) {
      failure ??= closing
    }
    // Only now is it known what captures have got.
    const nics = host?.reports() ?? []
    for (const directory of directories) removeEmpty(directory)
    if (failure === null) process.exit(0)
    const { code, message, stack } = asIxyError(failure)
    if (code === 'IXY_ERR_INTERNAL') process.stderr.write(`${stack}\n`)
    if (!process.connected) process.exit(1)
    process.send?.({ type: 'error', code, message, nics } satisfies FromChild, () => process.exit(1))
  }

  const begin = async (host: NicHost): Promise<void> => {
    await host.ready()
    compileLate()
    const news = (nics: readonly NicReport[]): void => tell({ type: 'report', id: null, nics })
    reportChanges(host, news, () => owed > 0, leave)
    tell({ type: 'listening' })
    await host.run(channel())
  }

  const receive = (message: ToChild): void => {
    if ('id' in message) owed++
    switch (message.type) {
      case 'start':
        directories = message.nics.map(({ socket }) => path.dirname(socket))
        rehearse()
        host = new NicHost(message.nics, false, {
          oneClient: true,
          inspect: message.inspect,
          // The last client that connects leaves it empty.
          onClient: ({ socket }) => removeEmpty(path.dirname(socket)),
          log: (level, text) => tell({ type: 'log', level, text }),
          // The command line with `/dev/fd/63` was the parent's.
          owner: process.ppid,
        })
        begin(host).catch(leave)
        break
      case 'report':
        answer(message.id)
        break
      case 'flush':
        host?.flush().then(() => answer(message.id), leave)
        break
      case 'quiesce':
        host?.quiesce().then(() => answer(message.id), leave)
        break
      case 'stop':
        leave(null)
    }
  }
  process.on('message', (message: ToChild) => {
    try {
      receive(message)
    } catch (error) {
      leave(error)
    }
  })
  process.on('disconnect', () => leave(null))
}

/** The descriptor by which the parent speaks; undefined where Node.js doesn't tell it, which its documentation doesn't promise. */
function channel(): number | undefined {
  return (process.channel as { readonly fd?: number } | undefined)?.fd
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch {
    // Gone already, or not ours alone.
  }
}

/**
 * Calls `tell` when a wire has ended or all has settled, or the other way round; and every TELL_EVERY ms if anything else is new, or
 * `always`.
 */
function reportChanges(
  host: NicHost,
  tell: (nics: readonly NicReport[]) => void,
  always: () => boolean,
  fail: (error: unknown) => void,
): void {
  let before = ''
  let latest = ''
  let looked = 0
  setInterval(() => {
    try {
      const state = host.state()
      const now = performance.now()
      if (state === before && now - looked < TELL_EVERY) return
      looked = now
      const reports = host.reports()
      const text = JSON.stringify(reports)
      if (state === before && text === latest && !always()) return
      before = state
      latest = text
      tell(reports)
    } catch (error) {
      fail(error)
    }
  }, LOOK_EVERY).unref()
}
