/** Descriptors of packets that ask for offloads, for tests. */
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import type { Host } from './host.ts'

export const DATA = 0x23300000
export const RS = 1 << 27
export const TSE = (1 << 31) >>> 0
export const VLE = 1 << 30
export const IXSM = 1 << 8
export const TXSM = 1 << 9

export interface Layout {
  readonly ip: number
  readonly l4: number
  /** TUCMD.L4T: 0 UDP, 1 TCP, 2 SCTP. */
  readonly l4Type: number
  readonly v4: boolean
  readonly vlan?: number
  readonly mss?: number
}

/** Context descriptor 0 at `index`. */
export function putContext(
  host: Host,
  index: number,
  { ip, l4, l4Type, v4, vlan = 0, mss = 0 }: Layout,
): void {
  const tucmd = (v4 ? 1 << 10 : 0) | (l4Type << 11)
  host.describe(index, [(vlan << 16) | (14 << 9) | ip, 0, 0x20200000 | tucmd, (mss << 16) | (l4 << 8)])
}

/** A packet in `parts` buffers, asking for `command` and `options`; returns the next free descriptor. */
export function putData(
  host: Host,
  index: number,
  packet: Uint8Array,
  { command = 0, options = 0, paylen = packet.length, parts = 1 } = {},
): number {
  let at = index
  const size = Math.ceil(packet.length / parts)
  for (let start = 0; start < packet.length; start += size) {
    const piece = packet.slice(start, start + size)
    const last = start + size >= packet.length
    const address = host.place(100 + at * 2, piece)
    const word2 = (DATA | command | (last ? RS : 0)) & (last ? -1 : ~(1 << 24))
    host.describe(at, [
      address % 2 ** 32,
      Math.floor(address / 2 ** 32),
      word2 | piece.length,
      (paylen << 14) | options,
    ])
    at++
  }
  return at
}

export function send(host: Host, tail: number): Uint8Array[] {
  host.write(REG.TDT, tail)
  while (host.poll() > 0);
  return host.wire.sent
}
