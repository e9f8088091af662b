import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { BlockProgress, CaptureBlock } from '../../src/captures/blocks.ts'
import type { FromCaptureThread } from '../../src/captures/messages.ts'
import { share } from '../../src/captures/sharer.ts'
import { frame, pcap } from './build.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ixy-captures-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a short capture is in its blocks once; how much it is, what is skipped and how long frames are is told exactly', async () => {
  const name = path.join(folder, 'short.pcap')
  const lengths = [60, 100, 65, 1514]
  // One that is no whole Ethernet header can't be sent.
  writeFileSync(name, pcap([...lengths, 10].map((length) => ({ data: frame(length) }))))
  const told: FromCaptureThread[] = []
  const progress = BlockProgress.create(1)
  await share(
    { name, owner: 'self', strict: false, speed: 1, gap: Infinity, mac: null, longest: 1514, progress },
    (message) => told.push(message),
  )
  const shared = told.find((message) => message.type === 'shared')
  if (shared?.type !== 'shared') throw new Error(JSON.stringify(told))
  const blocks = shared.capture.blocks.map((memory) => new CaptureBlock(memory))
  expect(blocks.map(({ frames, bytes }) => [frames, bytes])).toEqual([[4, 1739]])
  expect([...blocks[0].lengths.subarray(0, 4)]).toEqual(lengths)
  expect(shared.averageFrameBytes).toBe(1739 / 4)
  expect(told).toContainEqual({ type: 'read', bytes: 1739 })
  expect(told).toContainEqual({ type: 'warning', text: `${name}: 1 of 5 packets are skipped` })
  expect(new BlockProgress(progress).published).toBe(1)
})
