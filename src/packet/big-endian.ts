/** Multi-byte fields in network byte order, at any alignment. Out of bounds reads give 0: callers check lengths. */

export function read16(memory: Uint8Array, offset: number): number {
  return (memory[offset] << 8) | memory[offset + 1]
}

/** Signed: V8 keeps numbers from 2^31 on on the heap, where code isn't inlined. */
export function read32(memory: Uint8Array, offset: number): number {
  return (read16(memory, offset) << 16) | read16(memory, offset + 2)
}

export function write16(memory: Uint8Array, offset: number, value: number): void {
  memory[offset] = value >>> 8
  memory[offset + 1] = value
}

export function write32(memory: Uint8Array, offset: number, value: number): void {
  write16(memory, offset, value >>> 16)
  write16(memory, offset + 2, value)
}
