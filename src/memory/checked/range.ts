import type { Ledger } from './ledger.ts'

/** An array and a part of it, as they are handed to a call. */
export function verifyRange(ledger: Ledger, call: string, array: unknown, from: number, count: number): void {
  if (!(array instanceof Int32Array))
    ledger.fail('wrong-array', null, `${call}: the array of ids is no Int32Array`)
  const { length } = array
  if (!Number.isInteger(from) || from < 0 || (count !== 0 && from > length))
    ledger.fail('wrong-count', null, `${call} from index ${from} on, of an array of ${length}`)
  if (!Number.isInteger(count) || count < 0 || from + count > length)
    ledger.fail('wrong-count', null, `${call} of ${count} from index ${from} on, of an array of ${length}`)
}
