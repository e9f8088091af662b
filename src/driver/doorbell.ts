/**
 * How a tail register is written: after the descriptors and packets it announces.
 *
 * x86-64 lets no store overtake an earlier one, and V8 keeps stores to typed arrays in program order, so a plain store is
 * enough. It is also the better one: an atomic store is a locked exchange, which reads the register as well, and a read
 * across PCIe takes a microsecond. Machines with a weaker order need the atomic one, which releases.
 */
export const PLAIN_DOORBELL = process.arch === 'x64'

/**
 * Whether a status is loaded plainly, with everything the device wrote before it to be seen by later loads. On x86-64 no load
 * overtakes an earlier one, and V8 keeps loads from typed arrays in program order. Elsewhere Atomics.load() acquires; V8 calls a
 * builtin for it on x86-64, too, which takes longer than a packet.
 */
export const PLAIN_STATUS = process.arch === 'x64'
