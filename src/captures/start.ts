/** Starting and ending the threads of captures. */
import { Worker } from 'node:worker_threads'
import { bundle } from '../bundles.ts'
import { IxyError } from '../errors.ts'
import type { CaptureTask, FromCaptureThread } from './messages.ts'

export class CaptureThread {
  private readonly worker: Worker
  /** end() was called. */
  ended = false

  /** `died`: it ended by an error that it could not tell. */
  constructor(
    task: CaptureTask,
    receive: (message: FromCaptureThread) => void,
    died: (error: IxyError) => void,
  ) {
    // With stdout and stderr Node.js would open ours, and make pipes non-blocking for all who share them.
    this.worker = new Worker(bundle('captures.cjs'), { workerData: task, stdout: true, stderr: true })
    this.worker.on('message', receive)
    this.worker.on('error', (cause: Error) => {
      const what = `the thread of ${task.spec.name} died: ${cause.message}`
      if (!this.ended) died(new IxyError('IXY_ERR_WORKER', what, 'please report it', { cause }))
    })
    // The process ends when the rest of it has.
    this.worker.unref()
  }

  end(): void {
    this.ended = true
    void this.worker.terminate()
  }
}
