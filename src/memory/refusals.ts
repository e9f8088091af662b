/**
 * What packet buffers and rings refuse: an app that asks for it is wrong, and a card would read or write where no packet is.
 * All of them throw IXY_ERR_BUFFER. Out of line, as none of it happens in a run that is right.
 */
import { IxyError } from '../errors.ts'

const FIX = 'correct what the app hands over; --check finds the line, also of mistakes that show nowhere else'

function refuse(what: string): never {
  throw new IxyError('IXY_ERR_BUFFER', what, FIX)
}

/** `id` is no buffer's; `buffers`: how many there are. */
export function refuseStranger(call: 'free' | 'transmit', id: number, buffers: number): never {
  refuse(`${call}: ${id} is no packet: ids go from 0 to ${buffers - 1}`)
}

/** Packet `id` is longer than its buffer can hold. */
export function refuseTooLong(id: number, length: number, longest: number): never {
  refuse(`transmit: packet ${id} is said to have ${length} bytes, its buffer holds ${longest}`)
}

/** What `offloads` says of packet `id` can't be done. `what`: "its …". */
export function refuseOffload(id: number, what: string): never {
  refuse(`transmit: packet ${id}: ${what}`)
}

/** `id` came back to a pool that already had all of its buffers. */
export function refuseSurplus(id: number): never {
  refuse(`packet ${id} was given back to a pool that is full: something was freed or transmitted twice`)
}

export function refusePool(pool: number, pools: number): never {
  refuse(`allocate: there is no pool ${pool}: they go from 0 to ${pools - 1}`)
}

/** For loops that are specialised, which get everything as parameters. */
export const REFUSALS = { refusePool, refuseStranger, refuseSurplus, refuseTooLong }
export type Refusals = typeof REFUSALS
