/**
 * AssemblyScript, compiled to WebAssembly: the way of plain packets into a tunnel and out of it; whatever is not plain is left to
 * TypeScript, as it was. Plain is what has nothing wrong with it, and belongs to a network that is known here.
 *
 * What is said in packets in two bytes is taken as it lies there, the lower byte first, wherever only its equality counts, or a sum
 * in ones' complement, which is the same either way but for the order of its bytes (RFC 1071 §2 B).
 */
import { enter, forget as forgetEntering } from './enter'
import { forget as forgetLeaving, leave } from './leave'
import { fill, start } from './state'

export { enter, leave, start }

/** The headers of a network have changed: see fill(). */
export function change(network: usize, ipSum: u32, pseudoSum: u32, most: u32, ready: bool): void {
  fill(network, ipSum, pseudoSum, most, ready)
  forgetEntering()
  forgetLeaving()
}
