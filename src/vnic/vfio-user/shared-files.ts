/**
 * The files of a client's memory, kept open while any of them is mapped. Otherwise the last unmapping could be what ends a
 * file whose owner has gone, and this thread would give all of its memory back.
 */
import { closeInBackground } from '../../linux/background-close.ts'
import { duplicate } from '../../linux/file.ts'
import { Errno, Refusal } from './refusal.ts'

/** A machine's memory is one file, or one for each of its nodes and modules. */
const MAX_FILES = 256

export class SharedFiles {
  private readonly files = new Map<string, { readonly fd: number; users: number }>()

  /** `file` tells files apart. Returns what is to be called when the mapping has gone. Throws Refusal, LinuxError. */
  keep(file: string, fd: number): () => void {
    let entry = this.files.get(file)
    if (entry === undefined) {
      if (this.files.size >= MAX_FILES)
        throw new Refusal(Errno.ENOSPC, `more than ${MAX_FILES} files of memory shared with one NIC`)
      entry = { fd: duplicate(fd), users: 0 }
      this.files.set(file, entry)
    }
    const kept = entry
    kept.users++
    return () => {
      if (--kept.users > 0) return
      this.files.delete(file)
      closeInBackground(kept.fd)
    }
  }
}
