/**
 * The store that hands a descriptor back to the host: everything written before it must be visible first.
 *
 * x86 keeps stores in order and V8 does not move a typed array's store across another's, so a plain one does; other
 * machines get a releasing store, which costs a call per descriptor.
 */
/** This machine may make later stores visible before earlier ones. */
export const REORDERS = process.arch !== 'x64' && process.arch !== 'ia32'

export function store(words: Uint32Array, index: number, value: number): void {
  if (REORDERS) Atomics.store(words, index, value)
  else words[index] = value
}
