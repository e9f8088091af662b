/**
 * Bytes that are the same are found equal at once: jest looks at each as at a property, and once more as at what is iterated over,
 * which takes it milliseconds for a frame. Where they differ, it looks by itself, and says where.
 */
const sameBytes = (a: unknown, b: unknown): true | undefined =>
  a instanceof Uint8Array &&
  b instanceof Uint8Array &&
  a.constructor === b.constructor &&
  Buffer.compare(a, b) === 0
    ? true
    : undefined

// Its own types have it, @types/jest doesn't.
;(
  expect as unknown as { addEqualityTesters(testers: readonly (typeof sameBytes)[]): void }
).addEqualityTesters([sameBytes])
