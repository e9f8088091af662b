/** AssemblyScript, compiled to WebAssembly: where packets' bytes are. */

/** From a buffer's beginning to its packet's, but for the stagger. */
export const HEADROOM: usize = 64

/** Where buffer 0 begins, and log2 of the bytes from one to the next. */
export let buffersAt: usize = 0
export let bufferShift: usize = 0

export function startBuffers(buffers: usize, shift: i32): void {
  buffersAt = buffers
  bufferShift = shift
}

/** Where what is at `base` of packet 0, but for the stagger, is of packet `id`. As PacketMemory.dataOffset(). */
export function ofPacket(base: usize, shift: usize, id: usize): usize {
  return base + (id << shift) + ((id & 7) << 6)
}
