import { Bench, type BenchOptions, VARIANTS, frame } from './bench.ts'
import { SplitDeviceQueue } from './model/device-queue.ts'
import { BIT } from './model/network-card.ts'

let bench: Bench
afterEach(() => bench.release())

const made = (options: BenchOptions = {}): Bench => (bench = new Bench(options))
const started = (options: BenchOptions = {}): Bench => made(options).start()

function refusal(options: BenchOptions): unknown {
  made()
  try {
    return new Bench(options)
  } catch (error) {
    return error
  }
}

describe.each(VARIANTS)('$name', (variant) => {
  test('comes up without a breach of the specification, promiscuous', () => {
    started(variant)
    expect(bench.breaches).toEqual([])
    expect(bench.warnings).toEqual(
      variant.name.includes('alone') ? [expect.stringContaining('32 packets, not 64')] : [],
    )
    expect(bench.device.mac).toBe('52:54:00:12:34:56')
    expect(bench.card.commands).toEqual(['0.0:1'])
    expect([...bench.card.features]).toEqual(expect.not.arrayContaining([1, 7, 28, BIT.CTRL_VLAN, BIT.MQ]))
  })

  test('receives what comes in and sends it again, byte for byte', () => {
    started(variant)
    const frames = [frame(60, 1), frame(61, 2), frame(1514, 3), frame(64, 4), frame(1, 5), frame(1536, 6)]
    for (const one of frames) expect(bench.card.receive(0, one)).toBe(true)
    const { ids, frames: got } = bench.take()
    expect(got).toEqual(frames)
    expect(bench.transmit(ids)).toBe(6)
    const sent = bench.card.send(0)
    // Filled up to the least that is sent.
    expect(sent).toEqual(
      frames.map((one) => (one.length < 17 ? Uint8Array.of(...one, ...new Uint8Array(16)) : one)),
    )
    expect(bench.pairs[0].tx.pending()).toBe(0)
    expect(bench.breaches).toEqual([])
  })

  test('packets of two pools that come back together are counted once, and free again', () => {
    started(variant)
    const { card, memory } = bench
    card.receive(0, frame(60, 1))
    const [received] = bench.take().ids
    const own = new Int32Array(1)
    memory.allocate(1, own, 1)
    memory.size[own[0]] = 100
    bench.transmit(Int32Array.of(received, own[0]))
    card.send(0)
    expect(bench.pairs[0].tx.pending()).toBe(0)
    expect(bench.device.statistics()).toMatchObject({ txPackets: 2, txBytes: 160 })
    expect(memory.available(1)).toBe(512)
  })

  test('goes round the rings many times, in batches of all sizes, without loss', () => {
    started(variant)
    const [{ rx, tx }] = bench.pairs
    const batch = new Int32Array(64)
    const sent: Uint8Array[] = []
    const offered: Uint8Array[] = []
    let refused = 0
    // In one of them more than indexes of 16 bits count.
    const packets = variant === VARIANTS[0] ? 66_000 : 3_000
    for (let i = 0; i < packets; i++) {
      const one = frame(60 + (i % 13), i)
      if (bench.card.receive(0, one)) offered.push(one)
      if (i % 7 !== 0 && i % 41 !== 0) continue
      const count = rx.receive(batch, Math.min(1 + (i % 30), tx.room()))
      refused += count - tx.transmit(batch, 0, count)
      bench.transport.pump()
      if (i % 3 === 0) sent.push(...bench.card.send(0))
    }
    expect(refused).toBe(0)
    for (let i = 0; i < 10; i++) {
      tx.transmit(batch, 0, rx.receive(batch, tx.room()))
      sent.push(...bench.card.send(0))
    }
    expect(offered.length).toBeGreaterThan(0.995 * packets)
    expect(sent.length).toBe(offered.length)
    const wrong = sent.findIndex((one, i) => Buffer.compare(one, offered[i]) !== 0)
    expect(wrong).toBe(-1)
    expect(tx.pending()).toBe(0)
    expect(bench.breaches).toEqual([])
    const bytes = offered.reduce((sum, one) => sum + one.length, 0)
    expect(bench.device.statistics()).toEqual({
      rxPackets: offered.length,
      rxBytes: bytes,
      txPackets: offered.length,
      txBytes: bytes,
      dropped: {},
      stuck: [],
    })
  })

  test('a rehearsal leaves nothing behind', () => {
    made(variant)
    const [pair] = bench.pairs
    const card = pair.rehearse()
    const batch = new Int32Array(32)
    let moved = 0
    for (let i = 0; i < 3000; i++) {
      card.transmit()
      card.receive(32)
      moved += pair.tx.transmit(batch, 0, pair.rx.receive(batch, Math.min(32, pair.tx.room())))
    }
    expect(moved).toBeGreaterThan(40_000)
    expect(pair.rx.badLength).toBe(0)
    expect(pair.rx.fragments > 0).toBe(bench.card.has(BIT.MRG_RXBUF))
    bench.memory.reset()
    bench.start()
    expect(pair.rx.packets).toBe(0)
    bench.card.receive(0, frame(100, 1))
    expect(bench.take().frames).toEqual([frame(100, 1)])
    expect(bench.breaches).toEqual([])
  })

  test('rings only when it is wanted', () => {
    started(variant)
    const { transport, card } = bench
    const before = transport.rings.size
    card.queues.get(1)?.wantDoorbell(false)
    card.queues.get(0)?.wantDoorbell(false)
    for (let i = 0; i < 10; i++) {
      card.receive(0, frame(60, i))
      bench.transmit(bench.take().ids)
    }
    expect(transport.rings.size).toBe(before)
    card.send(0)
    card.queues.get(1)?.wantDoorbell(true)
    for (let i = 0; i < 3; i++) card.receive(0, frame(60, i))
    bench.transmit(bench.take().ids)
    expect(transport.rings.get(1)).toBe(1)
    expect(bench.breaches).toEqual([])
  })

  test('what is dropped has a name, and no buffer is lost by it', () => {
    started(variant)
    const { card } = bench
    const [{ rx }] = bench.pairs
    card.receive(0, frame(60, 1))
    card.receive(0, frame(60, 2), { lie: card.headerBytes })
    card.receive(0, frame(60, 3), { lie: 0 })
    card.receive(0, frame(60, 4), { lie: 65536 + 100 })
    card.receive(0, frame(60, 5), { lie: 2000 })
    card.receive(0, frame(60, 6))
    expect(bench.take().frames).toEqual([frame(60, 1), frame(60, 6)])
    expect(rx.badLength).toBe(4)
    expect(bench.device.statistics().rxPackets).toBe(6)
    const free = bench.memory.available(0)
    expect(512 - free).toBe((variant.name.includes('alone') ? 32 : 64) + rx.packets)
    expect(bench.breaches).toEqual([])
  })

  test('as many packets are taken as there are free buffers, the others are dropped; each is counted once', () => {
    started(variant)
    const { card, memory } = bench
    const [{ rx }] = bench.pairs
    const all = new Int32Array(512)
    const taken = memory.allocate(0, all, 512)
    memory.free(all, 0, 2)
    // One that is wrong takes nobody's buffer.
    for (let i = 0; i < 5; i++) card.receive(0, frame(60 + i, i), i === 1 ? { lie: 0 } : {})
    expect(bench.take().frames).toEqual([frame(60, 0), frame(62, 2)])
    expect([rx.packets, rx.bytes, rx.badLength, rx.poolEmpty]).toEqual([2, 122, 1, 2])
    memory.free(all, 2, taken - 2)
    card.receive(0, frame(70, 9))
    expect(bench.take().frames).toEqual([frame(70, 9)])
    expect(bench.breaches).toEqual([])
  })
})

describe.each(VARIANTS.filter(({ bits = [] }) => bits.includes(BIT.MRG_RXBUF)))(
  '$name: several buffers',
  (variant) => {
    test.each([1, 3, 64])(
      'a packet in several is dropped once, what is beside it is not; taken %d at a time',
      (limit) => {
        started(variant)
        const { card } = bench
        card.receive(0, frame(60, 1))
        card.receive(0, frame(3000, 2))
        card.receive(0, frame(61, 3))
        card.receive(0, frame(1000, 4), { spread: 300 })
        card.receive(0, frame(62, 5))
        const got: Uint8Array[] = []
        for (let i = 0; i < 20; i++) got.push(...bench.take(0, limit).frames)
        expect(got).toEqual([frame(60, 1), frame(61, 3), frame(62, 5)])
        const { rx } = bench.pairs[0]
        expect([rx.bytes, rx.fragments]).toEqual([60 + 61 + 62, 2])
        expect(bench.device.statistics().rxPackets).toBe(5)
        expect(bench.breaches).toEqual([])
      },
    )

    test('what is left in the ring is counted by packets', () => {
      started(variant)
      const [{ rx }] = bench.pairs
      const received = (): number => bench.device.statistics().rxPackets
      for (const [i, length] of [60, 3000, 60, 60].entries()) bench.card.receive(0, frame(length, i))
      expect([rx.untaken(), received()]).toEqual([4, 4])
      // The second has been dropped as its first part was taken out.
      expect(bench.take(0, 2).frames).toEqual([frame(60, 0)])
      expect([rx.untaken(), received()]).toEqual([2, 4])
      expect(bench.take().frames).toEqual([frame(60, 2), frame(60, 3)])
      expect(received()).toBe(4)
    })
  },
)

test.each(VARIANTS.filter(({ name }) => !name.includes('packed')))(
  '$name: a card that says to have used more than there is leaves no more than that in the ring',
  (variant) => {
    started(variant)
    const queue = bench.card.queues.get(0)
    if (!(queue instanceof SplitDeviceQueue)) throw new Error('the ring is split')
    queue.lie(1000)
    expect(bench.pairs[0].rx.untaken()).toBe(bench.device.queues[0].rx.slots)
  },
)

test.each(VARIANTS.filter(({ name }) => !name.includes('packed')))(
  '$name: a card that says to have sent more than it was given has sent that',
  (variant) => {
    started(variant)
    const { tx } = bench.pairs[0]
    const room = tx.room()
    const ids = new Int32Array(3)
    bench.memory.allocate(1, ids, 3)
    bench.memory.size.fill(60)
    bench.transmit(ids)
    const queue = bench.card.queues.get(1)
    if (!(queue instanceof SplitDeviceQueue)) throw new Error('the ring is split')
    queue.lie(100)
    expect([tx.room(), tx.pending()]).toEqual([room, 0])
    expect(bench.device.statistics()).toMatchObject({ txPackets: 3, txBytes: 180 })
  },
)

test.each(VARIANTS)('$name: jumbo frames', (variant) => {
  started({ ...variant, maxFrame: 9018 })
  const one = frame(9014, 1)
  bench.card.receive(0, one)
  const { ids, frames } = bench.take()
  expect(frames).toEqual([one])
  bench.transmit(ids)
  expect(bench.card.send(0)).toEqual([one])
  expect(bench.breaches).toEqual([])
})

test('packed rings do without the event index: QEMU names no new descriptor after it had to wait', () => {
  started({ bits: [BIT.RING_PACKED, BIT.EVENT_IDX] })
  const { card, transport, memory } = bench
  expect([card.has(BIT.RING_PACKED), card.has(BIT.EVENT_IDX)]).toEqual([true, false])
  const ids = new Int32Array(60)
  memory.allocate(1, ids, 60)
  memory.size.fill(60)
  card.queues.get(1)?.wantDoorbell(true)
  for (let i = 0; i < 60; i++) {
    bench.transmit(ids.subarray(i, i + 1))
    expect(transport.rings.get(1)).toBe(i + 1)
    expect(card.send(0).length).toBe(1)
  }
  expect(bench.breaches).toEqual([])
})

test.each([
  [64, 256, 64],
  [256, 64, 64],
  [1024, 1024, 1024],
  [64, 16, 16],
  [128, 300, 128],
])('a modern card: --ring-size %d of at most %d is %d', (ringSize, queueSize, slots) => {
  started({ ringSize, queueSize })
  expect(bench.device.queues[0].rx.slots).toBe(slots)
  expect(bench.warnings.length).toBe(slots < ringSize ? 1 : 0)
  for (let i = 0; i < 2 * slots; i++) expect(bench.card.receive(0, frame(60, i))).toBe(i < slots)
  expect(bench.take(0, 2000).ids.length).toBe(slots)
  expect(bench.breaches).toEqual([])
})

test.each([
  [64, 256, 64],
  [64, 16384, 64],
  [512, 64, 64],
])('a legacy card dictates the size: --ring-size %d of %d holds %d packets', (ringSize, queueSize, slots) => {
  started({ legacy: true, bits: [BIT.ANY_LAYOUT], ringSize, queueSize })
  for (let i = 0; i < 2 * slots; i++) expect(bench.card.receive(0, frame(60, i))).toBe(i < slots)
  expect(bench.take(0, 2000).ids.length).toBe(slots)
  expect(bench.breaches).toEqual([])
})

describe.each([false, true])('several queue pairs, packed: %s', (packed) => {
  const bits = [BIT.MQ, ...(packed ? [BIT.RING_PACKED] : [])]

  test('are switched on by a command, which has the queue behind all there are', () => {
    started({ bits, pairs: 4, queues: 2 })
    expect(bench.card.commands).toEqual(['4.0:2 0', '0.0:1'])
    expect(bench.card.activePairs).toBe(2)
    bench.card.receive(0, frame(60, 1))
    bench.card.receive(1, frame(60, 2))
    expect(bench.take(1).frames).toEqual([frame(60, 2)])
    expect(bench.take(0).frames).toEqual([frame(60, 1)])
    bench.memory.allocate(1, new Int32Array(1), 1)
    expect(bench.device.statistics().rxPackets).toBe(2)
    expect(bench.breaches).toEqual([])
  })

  test('of a card with fewer are refused', () => {
    expect(refusal({ bits, pairs: 2, queues: 4 })).toMatchObject({
      code: 'IXY_ERR_DEVICE_UNSUPPORTED',
      message: '0000:00:03.0 has 2 queue pairs; use --queues 2',
    })
  })

  test('are refused by the card', () => {
    made({ bits, pairs: 4, queues: 2 })
    bench.card.refused.add('4.0')
    expect(() => bench.start()).toThrow('0000:00:03.0 refuses 2 queue pairs')
  })
})

test('a card without MQ has one pair', () => {
  expect(refusal({ queues: 2 })).toMatchObject({ message: '0000:00:03.0 has 1 queue pair; use --queues 1' })
})

test('with MSI-X enabled a legacy card has its configuration further on', () => {
  started({
    legacy: true,
    prepare: ({ config, legacyBar }) => {
      legacyBar.msix = true
      config.write16(0x42, 0x8000)
    },
  })
  expect(bench.device.mac).toBe('52:54:00:12:34:56')
  expect(bench.device.link().up).toBe(true)
})

describe('link', () => {
  test('goes down and up; its speed is known or not', () => {
    started({ bits: [BIT.SPEED_DUPLEX] })
    expect(bench.device.link()).toEqual({ up: true, mbit: 0 })
    bench.card.speed = 25_000
    expect(bench.device.link()).toEqual({ up: true, mbit: 25_000 })
    bench.card.linkUp = false
    expect(bench.device.link()).toEqual({ up: false, mbit: 0 })
    expect(bench.breaches).toEqual([])
  })

  test('of a card that tells nothing is up', () => {
    started({ offered: [BIT.VERSION_1] })
    bench.card.linkUp = false
    expect(bench.device.link()).toEqual({ up: true, mbit: 0 })
    expect(bench.device.mac).toMatch(/^.[26ae](:[0-9a-f]{2}){5}$/)
  })
})

describe('refused', () => {
  test('through VFIO, a card that goes past the IOMMU', () => {
    expect(refusal({ access: 'vfio' })).toMatchObject({
      code: 'IXY_ERR_DEVICE_UNSUPPORTED',
      message: expect.stringMatching(/ACCESS_PLATFORM.*use --access sysfs as root, or .*iommu_platform=on/),
    })
    bench.release()
    made({ access: 'vfio', bits: [BIT.ACCESS_PLATFORM] })
    expect(bench.card.has(BIT.ACCESS_PLATFORM)).toBe(true)
  })

  test('a card that goes along with no features', () => {
    expect(
      refusal({
        prepare: ({ state }) => {
          state.refusesFeatures = true
        },
      }),
    ).toMatchObject({
      code: 'IXY_ERR_DEVICE_UNSUPPORTED',
      message: expect.stringContaining('FEATURES_OK'),
    })
  })

  test('a card that never ends its reset', () => {
    const prepare: BenchOptions['prepare'] = ({ state }) => {
      state.resetTakes = Infinity
    }
    expect(refusal({ prepare })).toMatchObject({
      code: 'IXY_ERR_REGISTER',
      message: expect.stringMatching(
        /device_status is 0xf, not 0, 1000 ms after a reset \(virtio 1\.2 §4\.1\.4\.3\.2\)/,
      ),
    })
  })
})

test('a card that has failed is told of', () => {
  started()
  bench.device.assertAlive()
  bench.transport.state.status |= 0x40
  expect(() => bench.device.assertAlive()).toThrow(expect.objectContaining({ code: 'IXY_ERR_REGISTER' }))
  expect(() => bench.device.assertAlive()).toThrow(/wants to be reset \(NEEDS_RESET/)
})

test('a card that was reset by somebody else is told of', () => {
  started()
  bench.transport.state.status = 0
  expect(() => bench.device.assertAlive()).toThrow(/was reset by somebody else/)
})

test('at the end it keeps everything out, then resets the card', () => {
  started()
  bench.device.stopReceiving()
  bench.device.stopReceiving()
  expect(bench.card.commands).toEqual(['0.0:1', '0.4:1', '0.3:1', '0.5:1', '0.1:0', '0.0:0'])
  expect(bench.card.running).toBe(true)
  bench.device.stopSending()
  expect(bench.card.running).toBe(false)
  bench.device.assertAlive()
  bench.device.close()
  expect(bench.transport.closed).toBe(true)
  expect(bench.warnings).toEqual([])
  expect(bench.breaches).toEqual([])
})

test('a card that answers no command any more is given up soon', () => {
  started()
  bench.card.answersCommands = false
  const before = performance.now()
  bench.device.stopReceiving()
  expect(performance.now() - before).toBeLessThan(900)
  expect(bench.warnings).toEqual([expect.stringMatching(/goes on receiving: .*NO_UNICAST after 100 ms/)])
})

test('a card that has gone is closed all the same', () => {
  started()
  bench.transport.gone = true
  bench.device.close()
  expect(bench.transport.closed).toBe(true)
})

describe('interrupts', () => {
  const KINDS = VARIANTS.filter(({ name }) => !name.startsWith('legacy'))

  test.each(KINDS)('$name: one for what comes in, none for what is sent', (variant) => {
    started({ ...variant, interrupts: true })
    const { card, device } = bench
    expect(device.queues.map(({ interrupt }) => interrupt)).toEqual([100])
    const [rx, tx] = [card.queues.get(0), card.queues.get(1)]
    for (let i = 0; i < 150; i++) {
      card.receive(0, frame(60, i))
      expect(rx?.takeInterrupt()).toBe(true)
      card.receive(0, frame(60, i))
      bench.transmit(bench.take().ids)
      rx?.takeInterrupt()
      card.send(0)
    }
    // With the event index the place that it waits for is passed now and then, but there is no vector to tell it by.
    if (!card.has(BIT.EVENT_IDX)) expect(tx?.takeInterrupt()).toBe(false)
    expect(bench.breaches).toEqual([])
  })

  test.each(KINDS.filter(({ bits }) => !bits?.includes(BIT.EVENT_IDX)))(
    '$name: none while polling',
    (variant) => {
      started(variant)
      for (let i = 0; i < 10; i++) bench.card.receive(0, frame(60, i))
      expect(bench.card.queues.get(0)?.takeInterrupt()).toBe(false)
    },
  )

  test('have a vector for each receive queue, and a card without enough is told of', () => {
    const vectors: number[] = []
    started({ bits: [BIT.MQ], pairs: 4, queues: 3, interrupts: true })
    for (let queue = 0; queue < 6; queue++) {
      bench.transport.state.queueSelect = queue
      vectors.push(bench.transport.state.queue().vector)
    }
    expect(vectors).toEqual([0, 0xffff, 1, 0xffff, 2, 0xffff])
    bench.release()
    const prepare: BenchOptions['prepare'] = ({ state }) => {
      state.vectors = 1
    }
    expect(refusal({ bits: [BIT.MQ], pairs: 4, queues: 3, interrupts: true, prepare })).toMatchObject({
      message: expect.stringMatching(/queue 2 doesn't take interrupt 1 .*use --mode poll/),
    })
  })
})
