/** Files that are there as a whole or not at all, and of which one knows beforehand that they can be written. */
import { closeSync, openSync, realpathSync, statSync, unlinkSync } from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import path from 'node:path'
import { IxyError } from '../../errors.ts'
import { fileError } from '../../packet/pcap.ts'

export class SafeFile {
  readonly name: string
  private readonly target: string
  /** null: no ordinary file (/dev/null, a FIFO), which nothing may take the place of. */
  private readonly temporary: string | null
  private readonly mode: number

  /** Writes nothing yet. Throws IXY_ERR_FILE if it could not. */
  constructor(name: string) {
    this.name = name
    try {
      const there = statSync(name, { throwIfNoEntry: false })
      if (there?.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
      this.mode = (there?.mode ?? 0o666) & 0o777
      // A link stays one.
      this.target = there === undefined ? name : realpathSync(name)
      this.temporary = there === undefined || there.isFile() ? temporaryName(this.target) : null
      if (this.temporary === null) closeSync(openSync(this.target, 'r+'))
      else {
        closeSync(openSync(this.temporary, 'wx', this.mode))
        unlinkSync(this.temporary)
      }
    } catch (cause) {
      throw fileError('write', name, cause)
    }
  }

  /** Throws IXY_ERR_OUTPUT; then what was there before is there still. */
  async write(text: string): Promise<void> {
    const file = this.temporary ?? this.target
    try {
      const handle = await open(file, this.temporary === null ? 'w' : 'wx', this.mode)
      try {
        await handle.writeFile(text)
      } finally {
        await handle.close()
      }
      if (this.temporary !== null) await rename(this.temporary, this.target)
    } catch (cause) {
      if (this.temporary !== null) await unlink(this.temporary).catch(() => undefined)
      throw new IxyError('IXY_ERR_OUTPUT', fileError('write', this.name, cause).message, '', { cause })
    }
  }
}

/** Beside the file, as only a name in the same folder can be changed into its name at once. */
function temporaryName(target: string): string {
  return path.join(path.dirname(target), `.${path.basename(target).slice(0, 200)}.${process.pid}.tmp`)
}
