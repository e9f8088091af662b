/**
 * Transmit descriptors as the card reads them (82599 §7.2.3.2).
 *
 *     legacy    │ buffer address, 64 bit          │ CMD CSO length          │ VLAN CSS STA            │
 *     data      │ buffer address, 64 bit          │ DCMD DTYP MAC length │ PAYLEN POPTS CC IDX STA │
 *     context   │ VLAN MACLEN IPLEN │ (IPsec)     │ DCMD DTYP TUCMD      │ MSS L4LEN IDX           │
 */

/** Word 2, all kinds. */
export const EOP = 1 << 24
export const IFCS = 1 << 25
export const RS = 1 << 27
/** Advanced format; 0 is a legacy descriptor. */
export const DEXT = 1 << 29
export const VLE = 1 << 30
export const TSE = 1 << 31
export const DTYP_MASK = 0xf << 20
export const DTYP_CONTEXT = 2 << 20
export const DTYP_DATA = 3 << 20
/** Legacy only: insert a checksum. */
export const IC = 1 << 26
/** Bits of a legacy descriptor's word 2 that must be zero. */
export const LEGACY_RESERVED = (1 << 28) | (1 << 31)
/** Data descriptors only: the frame gets a time stamp (MAC.1588). */
export const TSTAMP = 1 << 19
/** Bits of a data descriptor's word 2 that must be zero. */
export const DATA_RESERVED = (1 << 26) | (1 << 28) | (3 << 16)

/** A whole frame in one data descriptor without offloads; RS may be set or not. */
export const SIMPLE_MASK = 0xffff0000 & ~RS
export const SIMPLE = DEXT | DTYP_DATA | IFCS | EOP

/** Word 3 of a data descriptor. */
export const DD = 1 << 0
export const CC = 1 << 7
export const IXSM = 1 << 8
export const TXSM = 1 << 9
export const IPSEC = 1 << 10
export const IDX_SHIFT = 4
export const PAYLEN_SHIFT = 14

/** Legacy, word 2: where the checksum goes; word 3: from where on it is summed. Bytes from the start of the packet. */
export const CSO_SHIFT = 16
export const CSS_SHIFT = 8

/** What a context descriptor says about the frames that follow (82599 §7.2.3.2.3). */
export interface Context {
  ipLength: number
  macLength: number
  vlan: number
  ipv4: boolean
  fcoe: boolean
  /** L4T: 0 UDP, 1 TCP, 2 SCTP. */
  l4Type: number
  l4Length: number
  mss: number
}

export function newContext(): Context {
  return { ipLength: 0, macLength: 0, vlan: 0, ipv4: false, fcoe: false, l4Type: 0, l4Length: 0, mss: 0 }
}

export function readContext(context: Context, word0: number, word2: number, word3: number): void {
  context.ipLength = word0 & 0x1ff
  context.macLength = (word0 >>> 9) & 0x7f
  context.vlan = word0 >>> 16
  context.ipv4 = (word2 & (1 << 10)) !== 0
  context.fcoe = (word2 & (1 << 15)) !== 0
  context.l4Type = (word2 >>> 11) & 3
  context.l4Length = (word3 >>> 8) & 0xff
  context.mss = word3 >>> 16
}
