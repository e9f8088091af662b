/** bench/c/tunnel.c. */
import koffi from 'koffi'

/** As in the enumeration there. */
export const KINDS = ['vxlan', 'geneve', 'fou'] as const

export interface NativeTunnel {
  tunnelNew(
    u8: bigint,
    size: bigint,
    header: Uint8Array,
    innerMac: Uint8Array,
    kind: number,
    vni: number,
    vlan: number,
    checksum: number,
  ): bigint
  /** Nanoseconds; less than 0: a packet has not gone through. */
  tunnelEnter(tunnel: bigint, ids: Int32Array, count: number): number
  tunnelLeave(tunnel: bigint, ids: Int32Array, count: number): number
}

export function koffiTunnel(path: string): NativeTunnel {
  const library = koffi.load(path)
  return {
    tunnelNew: library.func(
      'void *tunnel_new(void *u8, void *size, void *header, void *innerMac, uint32_t kind, uint32_t vni, uint32_t vlan, uint32_t checksum)',
    ),
    tunnelEnter: library.func('double tunnel_enter(void *tunnel, void *ids, uint32_t count)'),
    tunnelLeave: library.func('double tunnel_leave(void *tunnel, void *ids, uint32_t count)'),
  }
}
