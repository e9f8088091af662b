/**
 * Whether a signal waits for the main thread to take it.
 *
 * libuv's signal handler writes to a pipe that the main thread reads in its event loop; no other thread learns of the
 * signal. But any thread can see whether something is in the pipe. If it stays there, the main thread is stuck.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { ioctl } from './file.ts'

/** linux/sockios.h; asm-generic/ioctls.h calls it FIONREAD. */
const FIONREAD = 0x541b
const count = new Int32Array(1)

/** Bytes that could be read from `fd` now. Throws LinuxError. */
export function bytesToRead(fd: number): number {
  ioctl(fd, 'FIONREAD', FIONREAD, count)
  return count[0]
}

/**
 * The end of that pipe from which the main thread reads, null if it isn't found. Main thread only. Sends this process a
 * SIGUSR2, which is ignored from then on: the pipe is the one in which it shows up.
 */
export function findSignalPipe(): number | null {
  process.on('SIGUSR2', () => undefined)
  const before = new Map(pipes().map((fd) => [fd, size(fd)]))
  process.kill(process.pid, 'SIGUSR2')
  return pipes().find((fd) => size(fd) > (before.get(fd) ?? 0)) ?? null
}

function pipes(): number[] {
  try {
    return readdirSync('/proc/self/fd')
      .map(Number)
      .filter((fd) => linkOf(fd).startsWith('pipe:'))
  } catch {
    // No /proc.
    return []
  }
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    // Closed meanwhile.
    return ''
  }
}

function size(fd: number): number {
  try {
    return bytesToRead(fd)
  } catch {
    return 0
  }
}
