/** How descriptors are handed back: a host that reads them at any moment sees none of it or all of it. */
import fc from 'fast-check'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { Pairs } from '../../../src/vnic/model/write-back.ts'
import { BASE, frameOf, Host, RX_RING } from './host.ts'

test('both halves arrive as they are, whatever number they are together', () => {
  const words = new Uint32Array(new SharedArrayBuffer(64))
  const pairs = new Pairs(words, 4, 4)
  const half = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.constantFrom(0, 1, 3, 0x7ff00000, 0x7ff00001, 0x7ff80000, 0x7fffffff, 0x80000000, 0xfff00040),
    fc.constantFrom(0xfff80000, 0xfff7ffff, 0xffffffff, 0xfff05dc0, 0x7ff005ea),
  )
  fc.assert(
    fc.property(half, half, fc.nat({ max: 3 }), (low, high, index) => {
      words.fill(0)
      pairs.store(index, low, high)
      expect([words[4 + 2 * index], words[5 + 2 * index]]).toEqual([low, high])
      expect(words.filter((word) => word !== 0).length).toBeLessThanOrEqual(2)
    }),
    { numRuns: 2000 },
  )
})

test('tags whose descriptors are no numbers arrive with length and status', () => {
  const host = new Host()
  host.initialise()
  host.acceptAll()
  host.startReceive(64, { extra: REG.RXDCTL.fields.VME.mask })
  host.enableReceive()
  host.waitForLink()
  const tags = [0x7ff0, 0x7ff8, 0x7fff, 0xfff0, 0xfff7, 0xffff, 0x7fef]
  tags.forEach((tag, index) => {
    const frame = frameOf(100 + index)
    frame.set([0x81, 0x00, tag >> 8, tag & 0xff], 12)
    host.wire.waiting.push(frame)
  })
  host.poll()
  tags.forEach((tag, index) => {
    const { words, status } = host.received(index)
    expect([status, words[3]]).toEqual([0xb, ((tag << 16) | (96 + index)) >>> 0])
  })
})

test('no store shows the length before the status, or the status before the length', () => {
  const host = new Host({ share: false })
  const { u8, u32 } = host.memory
  const first = (RX_RING - BASE) >> 2
  const seen: string[] = []
  // Every single store of a word into the ring, with what the host would see after it.
  const words = new Proxy(u32, {
    get: (target, key) => Reflect.get(target, key, target) as unknown,
    set(target, key, value: number) {
      target[Number(key)] = value
      const descriptor = (Number(key) - first) >> 2
      // Buffers are not the ring's.
      if (descriptor < 0 || descriptor >= 64) return true
      const [status, length] = target.subarray(first + descriptor * 4 + 2, first + descriptor * 4 + 4)
      if ((status === 0) !== (length === 0)) seen.push(`status ${status}, length ${length}`)
      return true
    },
  })
  host.device.dma.addPart(BASE, u8.length, true, { u8, u32: words }, 0)
  host.initialise()
  host.acceptAll()
  host.startReceive(64)
  host.enableReceive()
  host.waitForLink()
  for (let i = 0; i < 5; i++) host.wire.waiting.push(frameOf(60 + i))
  host.wire.waiting.push(frameOf(1500))
  host.poll()
  expect(host.received(4)).toMatchObject({ status: 3, length: 64 })
  expect(seen).toEqual([])
})
