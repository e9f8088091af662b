import type { CaptureOptions } from '../../../src/apps/capture/options.ts'
import { Showing } from '../../../src/apps/capture/showing.ts'
import { Kind, RingProducer } from '../../../src/captures/frame-ring.ts'
import { CaptureCounts, Count } from '../../../src/captures/counts.ts'
import { ONE_FILE } from '../../../src/captures/file-limits.ts'
import type { PlanContext } from '../../../src/engine/app.ts'
import { bytesOver } from '../../../src/packet/bytes.ts'

const NOBODY_ELSE = { index: 0, queue: null, dropped: {} }

/**
 * Packets of one queue, of which `lost` never came into the ring, in front of number `at`. The screen takes a bundle of up to 64, or
 * does not. What was printed, and the result.
 */
async function shown(
  form: 'text' | 'json',
  packets: number,
  takes: readonly boolean[],
  { at = -1, lost = 0 } = {},
): Promise<{ lines: string[]; captured: number; dropped: number }> {
  const lines: string[] = []
  let bundle = 0
  const context: PlanContext = {
    ...{ devices: ['virtual:gen'], physical: [false], queues: 1, mtu: 1500 },
    ...{ log: () => undefined, stop: new AbortController().signal },
    print(text) {
      const taken = takes[bundle++] ?? true
      if (taken && text !== '') lines.push(...text.split('\n'))
      return taken
    },
  }
  const options: CaptureOptions = {
    ...{ file: null, format: 'pcap', snapLength: 100, count: null, limits: ONE_FILE, filter: '', show: form },
  }
  const showing = new Showing(options, form, context)
  try {
    const [{ ring, counts }] = showing.jobs()
    if (ring === null) throw new Error('no ring')
    const producer = new RingProducer(ring)
    const frame = bytesOver(new ArrayBuffer(60), 0, 60)
    for (let i = 0; i < packets; i++) {
      if (i === at) producer.mark(Kind.SKIPPED, 0, lost)
      producer.put(frame, 0, 60, 0, 0, i, 60)
    }
    producer.publish()
    const own = new CaptureCounts(counts).ofQueue(0)
    own[Count.RECEIVED] = packets + lost
    own[Count.TAKEN] = packets
    own[Count.DROPPED] = lost
    await showing.finish([NOBODY_ELSE], () => false)
  } finally {
    showing.close()
  }
  const { captured, dropped } = showing.result()
  return { lines, captured, dropped }
}

test('packets that the screen does not take are told with the next one that it takes, and counted as dropped', async () => {
  const { lines, captured, dropped } = await shown('text', 200, [true, false, true, true])
  expect([captured, dropped]).toEqual([136, 64])
  expect(lines).toHaveLength(137)
  expect(lines.flatMap((line, i) => (line.startsWith('(') ? [[i, line]] : []))).toEqual([
    [64, '(64 packets not shown: too many for the screen)'],
  ])
})

test('what a bundle that is not taken says of others is told with a later one', async () => {
  // 5 for which the ring had no room, then two bundles for which the screen had none.
  const found = await shown('json', 140, [false, false, true], { at: 70, lost: 5 })
  const events = found.lines.map((line): { skipped?: number } => JSON.parse(line))
  expect(events).toHaveLength(12)
  expect(events.map(({ skipped }) => skipped)).toEqual([133, ...new Array<undefined>(11)])
  expect([found.captured, found.dropped]).toEqual([12, 133])
})
