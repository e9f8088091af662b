/**
 * AssemblyScript, compiled to WebAssembly: what the virtual NICs do per frame, when there are many alike. Whatever is
 * special about a frame makes these loops stop before it, and it goes the long way, in TypeScript.
 *
 * Offsets are bytes from the start of the memory of ../space.ts. A burst's frames are two arrays of 32-bit words, offsets
 * and lengths.
 */
export { configureSums } from './sums'
export { configureOrder, put } from './rx'
export { finish, gather } from './tx'
export { fill } from './gen'
export { receive } from './ledger'
