/** Starting and ending the threads of captures. */
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
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
    this.worker = new Worker(threadFile(), { workerData: task, stdout: true, stderr: true })
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

/** dist/captures.cjs, seen from the bundle as well as from the sources. */
function threadFile(): string {
  for (let folder = __dirname; ; folder = path.dirname(folder)) {
    for (const file of [path.join(folder, 'captures.cjs'), path.join(folder, 'dist', 'captures.cjs')])
      if (isReadable(file)) return file
    if (folder === path.dirname(folder))
      throw new IxyError('IXY_ERR_SYSTEM', `dist/captures.cjs is not above ${__dirname}`, 'run make build')
  }
}

/** Throws IXY_ERR_PERMISSION where root has become somebody else, who may not enter the folder. */
function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') return false
    throw new IxyError(
      'IXY_ERR_PERMISSION',
      `this user may not read ${file}`,
      'install ixy-ts where they may, as in /opt',
    )
  }
}
