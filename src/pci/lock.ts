/** One ixy-ts per device. */
import { IxyError } from '../errors.ts'
import { type LockFile, lockOwner, takeLock } from '../linux/lock-file.ts'
import { requireRuntimeDirectory, runtimeDirectory } from '../linux/runtime-dir.ts'

/** Takes the device for this process until release(). Throws IXY_ERR_DEVICE_IN_USE with the pid of its owner. */
export function lockDevice(address: string, directory = runtimeDirectory()): LockFile {
  const lock = takeLock(directory, address)
  if (typeof lock === 'number') throw usedBy(address, lock)
  return lock
}

/** Throws as lockDevice if another ixy-ts has the device. Takes nothing. */
export function requireUnlocked(address: string, directory = requireRuntimeDirectory()): void {
  const owner = lockOwner(directory, address)
  if (owner !== null) throw usedBy(address, owner)
}

function usedBy(address: string, pid: number): IxyError {
  return new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `${address} is used by another ixy-ts${pid === 0 ? '' : ` (pid ${pid})`}`,
    pid === process.pid ? 'name each device once' : 'end that one first',
  )
}
