/** Multi-byte fields in network byte order, at any alignment. Out of bounds reads give 0: callers check lengths. */

export function read16(memory: Uint8Array, offset: number): number {
  return (memory[offset] << 8) | memory[offset + 1]
}

/** Unsigned. */
export function read32(memory: Uint8Array, offset: number): number {
  return ((read16(memory, offset) << 16) | read16(memory, offset + 2)) >>> 0
}

/** Unsigned; a number holds it exactly. */
export function read48(memory: Uint8Array, offset: number): number {
  return read16(memory, offset) * 2 ** 32 + read32(memory, offset + 2)
}

export function write16(memory: Uint8Array, offset: number, value: number): void {
  memory[offset] = value >>> 8
  memory[offset + 1] = value
}

export function write32(memory: Uint8Array, offset: number, value: number): void {
  write16(memory, offset, value >>> 16)
  write16(memory, offset + 2, value)
}

export function write48(memory: Uint8Array, offset: number, value: number): void {
  write16(memory, offset, Math.floor(value / 2 ** 32))
  write32(memory, offset + 2, value)
}
