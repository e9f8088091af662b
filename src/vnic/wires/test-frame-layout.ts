/** Where things are in a test frame, and the weights of its check; explained in test-frame.ts. AssemblyScript reads it too. */
export const NONCE = 42
export const TOUCHED = 48
export const MAGIC = 0x67797869
export const MIN_TEST_FRAME = 60

/** Word indices. The source port is in the upper half of its word. */
export const SOURCE_PORT_WORD = 8
export const MAGIC_WORD = 11
export const OWNER_WORD = 12
export const CHECK_WORD = 13
export const SEQUENCE_WORD = 14

export const NOT_TOUCHED = 0xffffff00
/** What one more in a word adds to the check: odd, and different from word to word. */
export const WEIGHT_0 = 0x9e3779b1
export const WEIGHT_1 = 0x85ebca77
export const WEIGHT_2 = 0xc2b2ae3d
export const WEIGHT_3 = 0x27d4eb2f
export const WEIGHT_4 = 0x165667b1
export const WEIGHT_5 = 0xd3a2646d
export const WEIGHT_6 = 0xfd7046c5
export const WEIGHT_7 = 0xb55a4f09
export const SOURCE_PORT_WEIGHT = 0x9e3779b9
export const WEIGHT_9 = 0x6c8e9cf5
export const NONCE_WEIGHT = 0x7feb352d
export const MAGIC_WEIGHT = 0x846ca68b
export const OWNER_WEIGHT = 0x68e31da5
export const SEQUENCE_WEIGHT = 0x1b873593
export const LENGTH_WEIGHT = 0xcc9e2d51
/** Makes weights that are odd, whatever the place. */
export const EVEN = 0x9e3779b2

/** Generators in one process; the number is stored together with its complement. */
export const MAX_GENERATORS = 16

/**
 * Frames told apart from their duplicates: the last 65,536 of each generator. More than all rings and queues between
 * two ports hold; of an older one that turns up, nobody can tell whether it is one (BOOK_LATE).
 */
export const WINDOW_BITS = 16
/** Where a frame tells which one it is, in bytes: nonce, magic, generator and flow; the sequence number. */
export const IDENTITY = 42
export const IDENTITY_END = 52
export const SEQUENCE = 56
export const SEQUENCE_END = 60

/**
 * A ledger in memory: nonce, number of generators, and the address of each generator's book, 32 bits each. Then what the check is
 * made of, four words together as they stand in a frame: weights of its words from 0, 16, 32 and 44 bytes on, and which
 * bits of the last four count.
 * A book: counters (doubles), then per flow the lowest sequence number that is in order (32 bits), then the window: per
 * sequence number modulo its size, how often it had moved on when that slot was last taken, counted from 1 (16 bits).
 */
export const LEDGER_GENERATORS = 4
export const LEDGER_BOOKS = 8
export const LEDGER_WEIGHTS = 80
export const LEDGER_BYTES = 160
export const BOOK_RECEIVED = 0
export const BOOK_DUPLICATED = 8
export const BOOK_REORDERED = 16
export const BOOK_CORRUPTED = 24
export const BOOK_LATE = 32
export const BOOK_FLOWS = 64
