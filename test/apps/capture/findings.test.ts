import { type CaptureResult, findingsOf } from '../../../src/apps/capture/findings.ts'

const RESULT: CaptureResult = {
  how: 'written',
  file: 'out.pcapng',
  files: 1,
  bytes: 12_345,
  received: 1_000,
  filteredOut: 100,
  captured: 800,
  dropped: 60,
  unwritten: 30,
  afterEnd: 10,
  missed: 5,
}

test('a capture is told in two lines, and all of it in JSON', () => {
  const { text, json, warnings, lostHere } = findingsOf(RESULT)
  expect(`${text?.title}${text?.first}`).toBe('capture: 800 packets in out.pcapng (12,345 bytes)')
  expect(text?.lines).toEqual([
    'of 1,000 received: filtered out 100, dropped 60, unwritten 30, after the end 10; missed by the card 5',
  ])
  expect(json).toEqual({ capture: RESULT })
  expect(warnings).toEqual([expect.stringMatching(/^60 packets dropped: .*-s/)])
  expect(lostHere).toBe(90)
})

test.each([
  [{ file: '-' }, '800 packets on stdout (12,345 bytes)'],
  [{ files: 3 }, '800 packets in 3 files named after out.pcapng (12,345 bytes)'],
  [{ how: 'shown', file: null }, '800 packets shown'],
  [{ how: 'counted', file: null }, '800 packets counted'],
] as const)('%j: %s', (part, words) => {
  expect(findingsOf({ ...RESULT, ...part }).text?.first).toBe(`: ${words}`)
})

test('what is not shown is not lost; nothing is warned of where nothing was dropped', () => {
  expect(findingsOf({ ...RESULT, how: 'shown', file: null }).lostHere).toBe(0)
  expect(findingsOf({ ...RESULT, dropped: 0 }).warnings).toEqual([])
  expect(findingsOf(null).text).toBeNull()
})
