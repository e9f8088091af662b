import {
  BEGUN,
  Board,
  ENDED,
  LAST_BACK,
  SENT,
  SILENT_FROM,
  SILENT_UNTIL,
} from '../../../src/apps/rfc2544/board.ts'
import { Lane } from '../../../src/apps/rfc2544/lane.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import type { AppPort } from '../../../src/engine/app.ts'
import { DEFAULT_TEMPLATE } from '../../../src/packet/template.ts'
import { POOL, makeMemory } from '../pktgen/memory.ts'

test('what is sent and when, and the longest time in which nothing came back', () => {
  const memory = makeMemory()
  const { lanes, books } = new Board(Board.allocate(1))
  const [counts] = lanes
  const sent: number[] = []
  const tx = {
    room: () => 31,
    transmit: (batch: Int32Array, from: number, count: number) =>
      sent.push(...batch.slice(from, from + count)),
    pending: () => 0,
  }
  const lane = new Lane({ tx } as unknown as AppPort, memory, POOL, books[0], counts, 4)
  const clock = { last: new Float64Array([1000]), read: () => undefined }
  const plan = planFrames(DEFAULT_TEMPLATE, [64])
  lane.begin({ rate: 1000, count: 10, plan, key: 7 }, clock.last[0])
  let [now, moved, lastAt] = [1000, 0, 0]
  for (; !lane.isDone() && now < 1100; now++) {
    clock.last[0] = now
    const count = lane.send(clock)
    if (count > 0) lastAt = now
    moved += count
  }
  expect([moved, sent.length]).toEqual([10, 10])
  expect([counts[SENT], counts[BEGUN], counts[ENDED]]).toEqual([10, 1000, lastAt])
  // One a millisecond, and one that the bucket has in advance.
  expect(lastAt).toBeGreaterThan(1004)

  const back = (at: number, ids: number[]): void =>
    lane.collect(Int32Array.from(ids), ids.length, Float64Array.of(at))
  const silence = (): number[] => [counts[SILENT_FROM], counts[SILENT_UNTIL], counts[LAST_BACK]]
  back(2003, sent.slice(0, 2))
  expect(silence()).toEqual([1000, 2003, 2003])
  back(3500, sent.slice(2, 4))
  expect(silence()).toEqual([2003, 3500, 3500])
  // A copy is nothing that came back.
  back(3600, sent.slice(0, 1))
  back(3700, sent.slice(4, 5))
  expect(silence()).toEqual([2003, 3500, 3700])
})
