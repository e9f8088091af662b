/**
 * AssemblyScript, compiled to WebAssembly: what a step of an app's own calls (../wasm-ports.ts). It knows ports by number, and is trusted
 * with nothing but the memory that it shares anyway.
 */
import { receive, RxRing } from './rx'
import { transmit } from './tx'
import { TxRing } from './tx-ring'

/** Throws (memory/refusals.ts). */
declare function refusePort(port: i32, ports: i32): void

/** A queue pair. */
@unmanaged
class Port {
  rx: RxRing
  tx: TxRing
  /** Not 0: the card is to be told. JavaScript reads them, and writes 0. */
  armed: i32
  filled: i32
}

let portsAt: usize = 0
let portCount: u32 = 0

export function startPorts(at: usize, count: i32): void {
  portsAt = at
  portCount = count
}

function portOf(number: u32): Port {
  if (number >= portCount) refusePort(number, portCount)
  return changetype<Port>(portsAt + <usize>number * offsetof<Port>())
}

/** As RxQueue.receive(), into the 32-bit words at `batch`. */
export function receiveAt(number: u32, batch: usize, limit: i32): i32 {
  const port = portOf(number)
  const received = receive(port.rx, batch, min(limit, port.rx.mask))
  port.armed |= received
  return received & 0xffff
}

/** As TxQueue.room(). */
export function roomAt(number: u32): i32 {
  return portOf(number).tx.room()
}

/** As TxQueue.transmit(), of the 32-bit words at `batch`. */
export function transmitAt(number: u32, batch: usize, count: i32): i32 {
  const port = portOf(number)
  const accepted = transmit(port.tx, batch, count)
  port.filled |= accepted
  return accepted
}
