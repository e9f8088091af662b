/** Where Wireshark looks for programs that capture, and the script of ours there. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { launcher } from '../../bundles.ts'
import { IxyError } from '../../errors.ts'

const NAME = 'ixy-ts'
/** Tells our script from what somebody else has put there. */
const MARK = '# Made by ixy-ts extcap --install.'

/** The folder, by what Wireshark itself says: the user's own where it has one (from 4.2 on), else that of all users. */
export function extcapFolder(): string {
  for (const program of ['tshark', 'wireshark']) {
    const { status, stdout } = spawnSync(program, ['-G', 'folders'], { encoding: 'utf8' })
    const found = status === 0 ? folderIn(stdout) : null
    if (found !== null) return found
  }
  return path.join(homedir(), '.local/lib/wireshark/extcap')
}

/** In what `tshark -G folders` prints. */
export function folderIn(text: string): string | null {
  const own = /^Personal Extcap path:\s*(\S.*)$/im.exec(text)
  return (own ?? /^(?:Global )?Extcap path:\s*(\S.*)$/im.exec(text))?.[1].trim() ?? null
}

/** Puts the script into `folder`; returns its path. Throws IXY_ERR_FILE. */
export function install(folder: string): string {
  const file = path.resolve(folder, NAME)
  return attempt(folder, () => {
    requireOurs(file)
    mkdirSync(folder, { recursive: true })
    const command = [process.execPath, launcher()].map(quoted).join(' ')
    writeFileSync(file, `#!/bin/sh\n${MARK}\nexec ${command} extcap "$@"\n`)
    chmodSync(file, 0o755)
    return file
  })
}

/** Removes it; returns its path, null if there is none. Throws IXY_ERR_FILE. */
export function uninstall(folder: string): string | null {
  const file = path.resolve(folder, NAME)
  if (!existsSync(file)) return null
  return attempt(folder, () => {
    requireOurs(file)
    rmSync(file)
    return file
  })
}

function requireOurs(file: string): void {
  if (existsSync(file) && !readFileSync(file, 'utf8').includes(MARK))
    throw new IxyError('IXY_ERR_FILE', `${file} is there, and not ours`, 'move it away')
}

function attempt<T>(folder: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof IxyError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    const fix = 'run it as root, or name a folder of your own and set WIRESHARK_EXTCAP_DIR to it'
    throw new IxyError('IXY_ERR_FILE', `${folder} can't be changed: ${reason}`, fix, { cause })
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
