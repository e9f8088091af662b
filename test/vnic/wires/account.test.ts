/** What the accounts of several wires and faults add up to. */
import {
  addPath,
  framesOf,
  type Path,
  plainAccount,
  sumAccounts,
  type WireAccount,
} from '../../../src/vnic/wires/account.ts'

const loss = (place: string, frames: number): Path['lost'] => [{ place, cause: 'dropped', frames }]

/** Every number another one, from `first` on. */
function path(first: number): Path {
  return { copies: first, corrupted: first + 1, held: first + 2, lost: loss(`at ${first}`, first + 3) }
}

function account(first: number, books: boolean, lost: Path['lost'] = []): WireAccount {
  const out = { ...path(first + 10), lost, arrived: first + 20, books }
  return { in: { ...path(first), offered: first + 5, returned: first + 6 }, out, generators: [] }
}

test('a fault in front of a wire adds to what happens behind, but no cause that has cost nothing', () => {
  expect(addPath(path(10), path(200))).toEqual({
    ...{ copies: 210, corrupted: 212, held: 214 },
    lost: [...loss('at 10', 13), ...loss('at 200', 203)],
  })
  expect(addPath(path(10), { ...path(200), lost: loss('at 200', 0) }).lost).toEqual(loss('at 10', 13))
  expect(framesOf([...loss('a', 4), ...loss('b', 50)])).toBe(54)
})

test('wires behind one plug: all send, one is the end, and what another of them loses or holds has not arrived', () => {
  const end = account(100, true, loss('end', 3))
  const other = account(1000, false, loss('other', 7))
  const { in: into, out } = sumAccounts([end, other], end, [other])
  expect(into).toEqual({
    ...{ offered: 1110, returned: 1112, copies: 1100, corrupted: 1102, held: 1104 },
    lost: [...loss('at 100', 103), ...loss('at 1000', 1003)],
  })
  expect(out).toEqual({
    ...end.out,
    arrived: 120 - 7 - 1012,
    held: 112 + 1012,
    lost: [...loss('end', 3), ...loss('other', 7)],
    books: false,
  })
  const faultless = account(1000, false)
  expect(sumAccounts([end, faultless], end, [faultless]).out.books).toBe(false)
  Object.assign(faultless.out, { held: 0 })
  expect(sumAccounts([end, faultless], end, [faultless]).out).toEqual(end.out)
  expect(sumAccounts([faultless, faultless], faultless, [faultless]).out.books).toBe(false)
})

test('a plain wire has what it is told, and nothing else', () => {
  const counts = { offered: 1, arrived: 2, held: 4, books: true, lost: [...loss('a', 3), ...loss('b', 0)] }
  const nothing = { copies: 0, corrupted: 0, held: 0, lost: [] }
  expect(plainAccount(counts)).toEqual({
    in: { ...nothing, offered: 1, returned: 0 },
    out: { ...nothing, arrived: 2, held: 4, books: true, lost: loss('a', 3) },
    generators: [],
  })
})
