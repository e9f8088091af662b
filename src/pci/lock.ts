/** One ixy-ts per device. */
import { IxyError } from '../errors.ts'
import { takeLock, type LockFile } from '../linux/lock-file.ts'
import { runtimeDirectory } from '../linux/runtime-dir.ts'

/** Takes the device for this process until release(). Throws IXY_ERR_DEVICE_IN_USE with the pid of its owner. */
export function lockDevice(address: string, directory = runtimeDirectory()): LockFile {
  const lock = takeLock(directory, address)
  if (typeof lock !== 'number') return lock
  const owner = lock === 0 ? '' : ` (pid ${lock})`
  throw new IxyError(
    'IXY_ERR_DEVICE_IN_USE',
    `${address} is used by another ixy-ts${owner}`,
    lock === process.pid ? 'name each device once' : 'end that one first',
  )
}
