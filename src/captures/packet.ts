import { IxyError } from '../errors.ts'

/** A packet of a capture, as its record tells. */
export interface CapturedPacket {
  /** Where its bytes start in the window, and how many there are, without FCS. */
  offset: number
  length: number
  /** Bytes it had on the wire, without FCS; more than `length` if the capture holds its beginning only. */
  originalLength: number
  /** Longest packet the capture was to hold; 0: no limit. Captured bytes with FCS. */
  snapLength: number
  capturedLength: number
  /** Time stamp, since 1970 or whatever the writer's clock was. Without a time, that of the packet before. */
  seconds: number
  nanoseconds: number
  /** The time stamp was not possible and has been mended. */
  badTime: boolean
  /** LINKTYPE_… of its interface. */
  linkType: number
}

/** A format of capture files: finds packets one after the other. */
export interface Format {
  /**
   * Moves to the next packet, false if its bytes aren't all in the window yet. Throws IXY_ERR_FILE for what no packet can
   * be. `number`: which packet of the file it is, from 1 on.
   */
  next(packet: CapturedPacket, number: number): boolean
}

export function captureError(name: string, what: string, fix: string): IxyError {
  return new IxyError('IXY_ERR_FILE', `can't use ${name}: ${what}`, fix)
}
