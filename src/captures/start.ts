/** Starting and ending the threads of captures. */
import { IxyError } from '../errors.ts'
import { Thread } from '../threads.ts'
import type { CaptureTask, FromCaptureThread } from './messages.ts'

export class CaptureThread {
  private readonly thread: Thread
  /** end() was called. */
  ended = false

  /** `died`: it ended by an error that it could not tell. */
  constructor(
    task: CaptureTask,
    receive: (message: FromCaptureThread) => void,
    died: (error: IxyError) => void,
  ) {
    this.thread = new Thread('captures.cjs', task)
    const { worker } = this.thread
    worker.on('message', receive)
    worker.on('error', (cause: Error) => {
      const what = `the thread of ${task.spec.name} died: ${cause.message}`
      if (!this.ended) died(new IxyError('IXY_ERR_WORKER', what, 'please report it', { cause }))
    })
    // The process ends when the rest of it has.
    worker.unref()
  }

  end(): void {
    this.ended = true
    void this.thread.terminate()
  }
}
