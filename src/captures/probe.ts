/** A look at the beginning of a capture, before anything is started. */
import { accessSync, closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import zlib from 'node:zlib'
import { IxyError } from '../errors.ts'
import { fileError } from '../packet/pcap.ts'
import { noZstd, type Packing, packingOf, zstd } from './byte-source.ts'
import { isStandardStream, toPath } from './file-name.ts'
import { CaptureParser } from './parser.ts'

/** What is read of it: enough for every header, and for a packed one to give its first bytes. */
const PROBE_BYTES = 4096
const MOST_UNPACKED = 2 ** 24

/**
 * Throws IXY_ERR_FILE if `name` plainly can't be read or is no capture. Of streams (FIFOs, stdin) nothing is read; they
 * show what they are when they are played.
 */
export function probeCapture(name: string): void {
  if (isStandardStream(name, 0)) return
  let fd: number
  try {
    // Whoever waits to write to a FIFO goes on once it is open, and fails when it is closed again.
    if (statSync(toPath(name)).isFIFO()) {
      accessSync(toPath(name), constants.R_OK)
      return
    }
    fd = openSync(toPath(name), constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    throw fileError('read', name, cause)
  }
  try {
    const state = fstatSync(fd)
    if (state.isDirectory()) throw fileError('read', name, { code: 'EISDIR' })
    if (!state.isFile()) return
    const head = Buffer.alloc(PROBE_BYTES)
    checkHead(name, head.subarray(0, readStart(fd, head, name)))
  } finally {
    closeSync(fd)
  }
}

function readStart(fd: number, head: Buffer, name: string): number {
  try {
    return readSync(fd, head, 0, head.length, 0)
  } catch (cause) {
    throw fileError('read', name, cause)
  }
}

function checkHead(name: string, head: Buffer): void {
  const packing = packingOf(head)
  const start = packing === null ? head : unpackStart(name, head, packing)
  if (start === null) return
  const parser = new CaptureParser(name)
  const count = Math.min(start.length, parser.space().length)
  parser.space().set(start.subarray(0, count))
  parser.added(count)
  // All of it is there only if it is shorter than what was read.
  if (!parser.begin() && head.length < PROBE_BYTES) parser.end()
}

/** null: nothing can be said yet. */
function unpackStart(name: string, head: Buffer, packing: Packing): Buffer | null {
  if (packing === 'zstd' && zstd.zstdDecompressSync === undefined) throw noZstd(name)
  try {
    if (packing === 'gzip')
      return zlib.gunzipSync(head, {
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        maxOutputLength: MOST_UNPACKED,
      })
    const finishFlush = zstd.constants.ZSTD_e_flush
    return zstd.zstdDecompressSync?.(head, { finishFlush, maxOutputLength: MOST_UNPACKED }) ?? null
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') return null
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new IxyError(
      'IXY_ERR_FILE',
      `can't use ${name}: it can't be unpacked (${reason})`,
      'make a new one',
    )
  }
}
