/**
 * Capture files in libpcap's format: what reader and writer share.
 *
 *     file header, 24 bytes                         per packet, 16 bytes + data
 *     0      4      6      8     12     16     20   0          4             8          12
 *     +------+------+------+-----+------+------+----+----------+-------------+----------+----------+------
 *     | magic| 2    | 4    | 0   | 0    | snap | link seconds  | micro- or   | captured | original | data
 *     |      |      |      |     |      | len  | type          | nanoseconds | length   | length   |
 *     +------+------+------+-----+------+------+----+----------+-------------+----------+----------+------
 *
 * All fields are in the byte order of the machine that wrote them, which the magic number tells.
 */
import { IxyError } from '../errors.ts'

export const MAGIC_MICROSECONDS = 0xa1b2_c3d4
export const MAGIC_NANOSECONDS = 0xa1b2_3c4d
/** Alexey Kuznetzov's patched libpcap: longer headers of records, microseconds. */
export const MAGIC_MODIFIED = 0xa1b2_cd34
/** First word of a pcapng file, the same in both byte orders. */
export const MAGIC_PCAPNG = 0x0a0d_0d0a
export const VERSION_MAJOR = 2
export const VERSION_MINOR = 4
export const LINKTYPE_ETHERNET = 1
/** Longest packet that any tool writes; a longer one means a damaged file. */
export const MAX_CAPTURED_BYTES = 262_144

export const FILE_HEADER_BYTES = 24
export const VERSION = 4
export const SNAP_LENGTH = 16
export const LINK_TYPE = 20

export const RECORD_HEADER_BYTES = 16
/** With MAGIC_MODIFIED: interface, protocol and packet type follow on the lengths. */
export const MODIFIED_RECORD_HEADER_BYTES = 24
export const SECONDS = 0
export const FRACTION = 4
export const CAPTURED_LENGTH = 8
export const ORIGINAL_LENGTH = 12

export function isMagic(word: number): boolean {
  return word === MAGIC_MICROSECONDS || word === MAGIC_NANOSECONDS || word === MAGIC_MODIFIED
}

/** An IXY_ERR_FILE for whatever node:fs has thrown about `path`. */
export function fileError(action: 'read' | 'write', path: string, cause: unknown): IxyError {
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : String(cause)
  const fixes: Readonly<Record<string, string>> = {
    ENOENT: action === 'read' ? 'check the name' : 'create its folder first',
    ENOTDIR: 'check the path',
    EISDIR: 'it is a folder, name a file',
    EACCES: 'check its permissions, or run as its owner',
    EROFS: 'choose a place that can be written',
    ENOSPC: 'free some disk space',
  }
  return new IxyError('IXY_ERR_FILE', `can't ${action} ${path}: ${code}`, fixes[code] ?? '', { cause })
}
