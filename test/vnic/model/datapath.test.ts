import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { totalsOf } from '../../../src/vnic/model/totals.ts'
import { BASE, copy, frameOf, MEMORY_AT, Host, MAC, MEMORY_BYTES, runningHost as startHost } from './host.ts'

const DD = 1
const EOP = 2
const BROADCAST = new Uint8Array(6).fill(0xff)
const GROUP = Uint8Array.of(1, 0, 0x5e, 0, 0, 1)

/** Every frame by itself in TypeScript, or in bursts in WebAssembly: nothing that can be seen may differ. */
describe.each([
  ['one by one', false],
  ['in bursts', true],
])('frames %s', (_name, fast) => {
  const runningHost = (options: { strict?: boolean } = {}) => startHost({ ...options, fast })

  describe('receive', () => {
    test('does with a ring that a host has moved by memory what it would have done by message', () => {
      const host = runningHost()
      // As a client that maps the page writes it: no mask, no report.
      host.device.registers.words[offsetOf(REG.RDBAL) >> 2] += 4
      host.device.registers.words[offsetOf(REG.RDLEN) >> 2] += 4
      host.device.invalidate()
      const frame = frameOf(60)
      host.wire.waiting.push(frame)
      host.poll()
      expect(host.received(0).data).toEqual(frame)
    })

    test('puts a frame into the buffer, then hands the descriptor back', () => {
      const host = runningHost()
      const frame = frameOf(61)
      host.wire.waiting.push(frame)
      host.poll()
      const { status, length, data } = host.received(0)
      expect(status & (DD | EOP)).toBe(DD | EOP)
      expect(length).toBe(61)
      expect(data).toEqual(frame)
      expect(host.received(1).status & DD).toBe(0)
      expect(host.read(REG.RDH)).toBe(1)
      expect(host.breaches()).toEqual([])
    })

    test('goes round the ring as the host gives buffers back, without losing order', () => {
      const host = runningHost()
      let next = 0
      let seen = 0
      for (let sent = 0; sent < 1001; sent++) {
        const frame = frameOf(60 + (sent % 1400))
        frame[20] = sent & 0xff
        frame[21] = sent >> 8
        host.wire.waiting.push(frame)
        if (sent % 7 !== 6) continue
        host.poll()
        while ((host.received(next).status & DD) !== 0) {
          const { data } = host.received(next)
          expect([data[20] | (data[21] << 8), data.length]).toEqual([seen, 60 + (seen % 1400)])
          seen++
          host.armReceive(next)
          host.write(REG.RDT, next)
          next = (next + 1) % 64
        }
      }
      expect(seen).toBe(1001)
      expect(host.breaches()).toEqual([])
    })

    test('uses all descriptors but one, then the packet buffer, and counts the rest as missed', () => {
      const host = runningHost()
      const buffered = Math.floor((512 * 1024) / (4 + 1514 + 2))
      const sent = 63 + buffered + 7
      let delivered = 0
      for (let i = 0; i < sent; i++) {
        const frame = frameOf(1514)
        frame[20] = i & 0xff
        frame[21] = i >> 8
        if (host.device.deliver(copy(frame), 0, 1514)) delivered++
      }
      host.poll()
      expect(delivered).toBe(sent - 7)
      expect(host.read(REG.QPRC)).toBe(63)
      expect(host.read(REG.RDH)).toBe(63)
      expect(host.read(REG.MPC)).toBe(7)
      expect(host.read(REG.MPC)).toBe(0)
      const missed = (): boolean => (host.read(REG.EICR) & REG.EICR.fields.RX_MISS.mask) !== 0
      expect(missed()).toBe(true)
      host.poll()
      expect(missed()).toBe(false)
      // GPRC of this card counts the missed ones too.
      expect(host.read(REG.GPRC)).toBe(70)
      expect(host.device.room()).toBe(0)

      // What waits comes in order as soon as there are descriptors, before anything new, and is counted once.
      let next = 0
      for (let seen = 0; seen < sent - 7; next = (next + 1) % 64) {
        const { status, data } = host.received(next)
        expect([status & DD, data[20] | (data[21] << 8)]).toEqual([DD, seen])
        if (++seen === sent - 10) host.device.deliver(copy(frameOf(60)), 0, 60)
        host.armReceive(next)
        host.write(REG.RDT, next)
        host.poll()
      }
      expect(host.received(next).length).toBe(60)
      expect(host.read(REG.TPR)).toBe(sent + 1)
      expect(host.read(REG.QPRC)).toBe(buffered + 1)
      expect(host.read(REG.MPC)).toBe(0)
    })

    test('takes nothing after a reset before there are rings again', () => {
      const host = runningHost()
      for (let i = 0; i < 5; i++) host.device.deliver(copy(frameOf(60)), 0, 60)
      host.write(REG.CTRL, REG.CTRL.fields.RST.mask)
      host.initialise()
      host.acceptAll()
      host.enableReceive()
      host.waitForLink()
      for (let i = 0; i < 10; i++) expect(host.device.deliver(copy(frameOf(60)), 0, 60)).toBe(false)
      host.poll()
      expect([host.read(REG.GPRC), host.read(REG.QPRDC)]).toEqual([0, 10])
    })

    test('takes nothing while reception is off, which is in no register', () => {
      const host = new Host({ fast })
      host.initialise()
      host.acceptAll()
      host.startReceive()
      host.waitForLink()
      host.wire.regardless = true
      for (let i = 0; i < 3; i++) host.wire.waiting.push(frameOf(60))
      host.poll()
      expect(host.wire.delivered).toEqual([false, false, false])
      expect([host.read(REG.TPR), host.read(REG.GPRC), host.read(REG.QPRDC)]).toEqual([0, 0, 0])
      expect(totalsOf(host.device).dropped).toMatchObject({ not_listening: 3, filtered: 0 })
    })

    test('forgets what waits in the packet buffer when the card is reset, and knows how much that was', () => {
      const host = runningHost()
      const { receive } = host.device
      for (let i = 0; i < 70; i++) host.device.deliver(copy(frameOf(60)), 0, 60)
      expect([receive.buffered, receive.forgotten]).toEqual([7, 0])
      host.armReceive(0)
      host.write(REG.RDT, 0)
      host.poll()
      expect([receive.buffered, receive.forgotten]).toEqual([6, 0])
      host.write(REG.CTRL, REG.CTRL.fields.RST.mask)
      expect([receive.buffered, receive.forgotten]).toEqual([0, 6])
      host.initialise()
      host.acceptAll()
      host.startReceive()
      host.enableReceive()
      host.waitForLink()
      host.poll()
      expect(host.received(0).status & DD).toBe(0)
    })

    test('counts them in QPRDC for a queue that drops', () => {
      const host = runningHost()
      host.modify(REG.SRRCTL, REG.SRRCTL.fields.DROP_EN.mask)
      for (let i = 0; i < 70; i++) host.device.deliver({ u8: frameOf(60), u32: new Uint32Array(0) }, 1, 60)
      host.poll()
      expect(host.read(REG.QPRDC)).toBe(7)
      expect(host.read(REG.MPC)).toBe(0)
    })

    test('spreads a frame larger than a buffer over several descriptors; the last one ends the packet', () => {
      const host = new Host()
      host.initialise()
      host.acceptAll()
      host.modify(REG.HLREG0, REG.HLREG0.fields.JUMBOEN.mask)
      host.write(REG.MAXFRS, 9018 << 16)
      host.startReceive(64, { kib: 2 })
      host.enableReceive()
      host.waitForLink()
      const frame = frameOf(9014)
      host.wire.waiting.push(frame, frameOf(9015))
      host.poll()
      expect(host.wire.delivered).toEqual([true, false])
      expect(host.read(REG.ROC)).toBe(1)
      const parts = [0, 1, 2, 3, 4].map((index) => host.received(index))
      expect(parts.map(({ status }) => status & 3)).toEqual([DD, DD, DD, DD, DD | EOP])
      expect(Buffer.concat(parts.map(({ data }) => data))).toEqual(Buffer.from(frame))
      const counters = [REG.QPRC, REG.QBRC_L, REG.GPRC, REG.GORCL, REG.PRC1522]
      expect(counters.map((register) => host.read(register))).toEqual([1, 9014, 1, 9018, 1])
      expect(host.breaches()).toEqual([])
    })

    test('counts what a queue has received until it is switched off', () => {
      const host = runningHost()
      host.device.deliver(copy(frameOf(60)), 0, 60)
      host.write(REG.RXDCTL, 0)
      host.poll()
      expect([host.read(REG.QPRC), host.read(REG.RDH)]).toEqual([1, 1])
    })

    test('refuses frames over 1518 bytes with FCS unless they carry a VLAN tag', () => {
      const host = runningHost()
      const tagged = frameOf(1518)
      tagged.set([0x81, 0x00, 0x00, 0x05], 12)
      host.wire.waiting.push(frameOf(1514), frameOf(1515), tagged)
      host.poll()
      expect(host.wire.delivered).toEqual([true, false, true])
      expect(host.read(REG.ROC)).toBe(1)
    })

    test('nothing comes in while receiving is off, the link is down or the host does not let it master the bus', () => {
      const host = runningHost()
      expect(host.device.listening()).toBe(true)
      host.modify(REG.RXCTRL, 0, 1)
      expect([host.device.listening(), host.device.room()]).toEqual([false, 0])
      host.enableReceive()
      expect(host.device.room()).toBe(63)
      host.device.config.write(4, Uint8Array.of(0x02, 0x00))
      host.device.update()
      expect(host.device.room()).toBe(0)
      host.device.config.write(4, Uint8Array.of(0x06, 0x00))
      host.device.setLink(false)
      host.poll()
      expect(host.device.room()).toBe(0)
    })
  })

  describe('transmit', () => {
    test('reads a descriptor once: what the host changes while its frame is sent comes too late', () => {
      for (const asked of [true, false]) {
        const host = runningHost()
        const frame = frameOf(60)
        host.queueFrame(0, frame, asked)
        const { wire } = host
        const send = wire.send.bind(wire)
        wire.send = (memory, offset, length) => {
          host.queueFrame(0, frame, !asked)
          return send(memory, offset, length)
        }
        host.write(REG.TDT, 1)
        host.poll()
        expect(wire.sent).toEqual([frame])
        expect(host.transmitStatus(0) & DD).toBe(asked ? DD : 0)
      }
    })

    test('sends what the tail covers and writes DD where status was asked for', () => {
      const host = runningHost()
      const frames = [60, 61, 1514].map((length) => frameOf(length))
      frames.forEach((frame, index) => host.queueFrame(index, frame, index === 2))
      host.write(REG.TDT, 3)
      host.poll()
      expect(host.wire.sent).toEqual(frames)
      expect([0, 1, 2].map((index) => host.transmitStatus(index) & DD)).toEqual([0, 0, DD])
      expect(host.read(REG.TDH)).toBe(3)
      expect(host.breaches()).toEqual([])
    })

    test('pads short frames to 60 bytes and leaves the host memory behind them alone', () => {
      const host = runningHost()
      host.queueFrame(0, frameOf(42))
      host.write(REG.TDT, 1)
      host.poll()
      expect(host.wire.sent[0]).toEqual(Uint8Array.from([...frameOf(42), ...new Array(18).fill(0)]))
    })

    test('gathers a frame from several descriptors', () => {
      const host = runningHost()
      const frame = frameOf(300)
      const [a, b] = [frame.slice(0, 101), frame.slice(101)]
      const [first, second] = [host.place(0, a), host.place(1, b)]
      host.describe(0, [first % 2 ** 32, 1, 0x22300000 | a.length, 300 << 14])
      host.describe(1, [second % 2 ** 32, 1, 0x2b300000 | b.length, 300 << 14])
      host.write(REG.TDT, 1)
      host.poll()
      expect(host.wire.sent).toEqual([])
      host.write(REG.TDT, 2)
      host.poll()
      expect(host.wire.sent).toEqual([frame])
      expect(host.transmitStatus(1) & DD).toBe(DD)
      expect(host.breaches()).toEqual([])
    })

    test('tries the same frame again when the wire can not take it, and loses none', () => {
      const host = runningHost()
      host.wire.capacity = 2
      for (let i = 0; i < 5; i++) host.queueFrame(i, frameOf(60 + i))
      host.write(REG.TDT, 5)
      host.poll(3)
      expect(host.wire.sent.length).toBe(2)
      expect(host.read(REG.TDH)).toBe(2)
      host.wire.capacity = Infinity
      host.poll()
      expect(host.wire.sent.map((frame) => frame.length)).toEqual([60, 61, 62, 63, 64])
    })

    test('keeps frames in the ring while the link is down', () => {
      const host = runningHost()
      host.device.setLink(false)
      host.poll()
      host.queueFrame(0, frameOf(60))
      host.write(REG.TDT, 1)
      host.poll(5)
      expect(host.wire.sent.length).toBe(0)
      host.device.setLink(true)
      host.waitForLink()
      host.poll()
      expect(host.wire.sent.length).toBe(1)
    })

    test('wraps around the ring many times', () => {
      const host = runningHost()
      let tail = 0
      for (let i = 0; i < 500; i++) {
        host.queueFrame(tail, frameOf(60 + (i % 100)))
        tail = (tail + 1) % 64
        host.write(REG.TDT, tail)
        if (i % 40 === 39) host.poll()
      }
      host.poll()
      expect(host.wire.sent.map((frame) => frame.length)).toEqual(
        Array.from({ length: 500 }, (_, i) => 60 + (i % 100)),
      )
      expect(host.breaches()).toEqual([])
    })

    test('writes the head to memory where the host asks for that', () => {
      const host = runningHost()
      const at = BASE + MEMORY_BYTES - 64
      host.write(REG.TXDCTL, 0)
      host.write(REG.TDWBAH, Math.floor(at / 2 ** 32))
      host.write(REG.TDWBAL, (at % 2 ** 32) | 1)
      host.write(REG.TXDCTL, REG.TXDCTL.fields.ENABLE.mask)
      for (let i = 0; i < 3; i++) host.queueFrame(i, frameOf(60))
      host.write(REG.TDT, 3)
      host.poll()
      expect(host.memory.u32[(MEMORY_BYTES - 64) >> 2]).toBe(3)
    })
  })

  describe('a host that points the device outside its memory', () => {
    test('a ring outside is never touched', () => {
      const host = new Host()
      host.initialise()
      host.acceptAll()
      host.write(REG.RDBAL, 0x80)
      host.write(REG.RDLEN, 1024)
      host.write(REG.SRRCTL, 0x02000002)
      host.write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask)
      host.write(REG.RDT, 10)
      host.enableReceive()
      host.waitForLink()
      expect(host.device.room()).toBe(0)
      expect(host.device.dma.faults).toBeGreaterThan(0)
      expect(host.breaches().join()).toMatch(/outside the memory shared/)
    })

    test('a buffer outside loses the frame, and only that', () => {
      const host = runningHost()
      host.memory.u32.set([0x1000, 0, 0, 0], 0)
      host.wire.waiting.push(frameOf(60), frameOf(64))
      host.poll()
      expect(host.device.dma.faults).toBe(1)
      expect(host.received(1).data).toEqual(frameOf(64))

      host.describe(0, [0x1000, 0, 0x2b30003c, 60 << 14])
      host.queueFrame(1, frameOf(77))
      host.write(REG.TDT, 2)
      host.poll()
      expect(host.wire.sent).toEqual([frameOf(77)])
      expect(host.device.dma.faults).toBe(2)
    })

    // Sums with lengths, or with where the memory stands here, that no longer fit 64, 63 or 32 bits.
    test.each([2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 32n, 2n ** 31n])(
      'an address %s beyond its memory loses the frame, too',
      (distance) => {
        const host = runningHost()
        let faults = 0
        for (const near of [0n, 30n, 59n, 60n, 2n ** 22n, BigInt(MEMORY_AT), BigInt(MEMORY_AT) + 30n]) {
          const address = BigInt.asUintN(64, BigInt(BASE) + distance - near)
          // In the map: these are no wrong addresses.
          if (address >= BASE && address <= BASE + MEMORY_BYTES - 60) continue
          const [low, high] = [Number(address & 0xffff_ffffn), Number(address >> 32n)]
          const sent = host.wire.sent.length
          const at = host.read(REG.TDT)
          host.queueFrame(at, frameOf(61))
          host.describe((at + 1) % 64, [low, high, 0x2b30003c, 60 << 14])
          host.queueFrame((at + 2) % 64, frameOf(62))
          host.write(REG.TDT, (at + 3) % 64)
          host.poll(2)
          expect(host.wire.sent.slice(sent)).toEqual([frameOf(61), frameOf(62)])
          expect(host.device.dma.faults).toBe(++faults)
        }
        expect(faults).toBeGreaterThan(4)
      },
    )

    test('memory that is taken away while transmission is off is not used when it is on again', () => {
      const host = runningHost()
      host.queueFrame(0, frameOf(60))
      host.write(REG.TDT, 1)
      host.poll()
      const { TE } = REG.DMATXCTL.fields
      host.modify(REG.DMATXCTL, 0, TE.mask)
      host.device.dma.remove(BASE, MEMORY_BYTES)
      host.device.invalidate()
      host.modify(REG.DMATXCTL, TE.mask)
      host.queueFrame(1, frameOf(61))
      host.write(REG.TDT, 2)
      host.poll()
      expect(host.wire.sent).toEqual([frameOf(60)])
      expect(host.device.dma.faults).toBeGreaterThan(0)
    })

    test('memory that is taken away is not used any more', () => {
      const host = runningHost()
      host.wire.waiting.push(frameOf(60))
      host.poll()
      host.device.dma.remove(BASE, MEMORY_BYTES)
      host.device.invalidate()
      host.memory.u8.fill(0)
      host.queueFrame(0, frameOf(60))
      host.write(REG.TDT, 1)
      host.wire.waiting.push(frameOf(60))
      host.poll()
      expect(host.wire.sent).toEqual([])
      expect(host.received(1).status).toBe(0)
      expect(host.device.room()).toBe(0)
    })
  })

  describe('statistics', () => {
    test('count frames and octets with FCS by size, and clear when read', () => {
      const host = runningHost()
      const lengths = [60, 61, 123, 124, 251, 252, 507, 508, 1019, 1020, 1514]
      lengths.forEach((length, index) => {
        host.queueFrame(index, frameOf(length, index < 2 ? GROUP : index < 3 ? BROADCAST : MAC))
        host.wire.waiting.push(frameOf(length, index < 3 ? BROADCAST : index < 7 ? GROUP : MAC))
      })
      host.write(REG.TDT, lengths.length)
      host.poll()
      const octets = lengths.reduce((sum, length) => sum + length + 4, 0)
      const sizes = [1, 2, 2, 2, 2, 2]
      expect(
        [REG.PRC64, REG.PRC127, REG.PRC255, REG.PRC511, REG.PRC1023, REG.PRC1522].map((r) => host.read(r)),
      ).toEqual(sizes)
      expect(
        [REG.PTC64, REG.PTC127, REG.PTC255, REG.PTC511, REG.PTC1023, REG.PTC1522].map((r) => host.read(r)),
      ).toEqual(sizes)
      const received = [REG.TPR, REG.RXNFGPC, REG.GPRC, REG.RXDGPC, REG.QPRC]
      for (const register of [...received, REG.GPTC, REG.TPT, REG.TXDGPC, REG.QPTC]) {
        expect([register.name, host.read(register)]).toEqual([register.name, lengths.length])
        expect([register.name, host.read(register)]).toEqual([register.name, 0])
      }
      // Those of the MAC have the FCS. It isn't taken along to the queue, nor has the host sent it.
      const withFcs = [REG.TORL, REG.RXNFGBCL, REG.GORCL, REG.GOTCL]
      expect(withFcs.map((r) => host.read(r))).toEqual(withFcs.map(() => octets))
      const without = [REG.RXDGBCL, REG.QBRC_L, REG.TXDGBCL, REG.QBTC_L]
      expect(without.map((r) => host.read(r))).toEqual(without.map(() => octets - 4 * lengths.length))
      expect([REG.BPRC, REG.MPRC, REG.MPTC, REG.BPTC].map((r) => host.read(r))).toEqual([3, 4, 2, 1])
    })

    test('octet counters have 36 bits: the low word takes all, the high word follows', () => {
      const host = runningHost()
      host.device.statistics.add(REG.GORCL, 5 * 2 ** 32 + 7)
      expect([host.read(REG.GORCL), host.read(REG.GORCH)]).toEqual([7, 5])
      expect([host.read(REG.GORCL), host.read(REG.GORCH)]).toEqual([0, 0])
      host.device.statistics.add(REG.GORCL, 2 ** 50)
      expect([host.read(REG.GORCL), host.read(REG.GORCH)]).toEqual([0xffffffff, 0xf])
    })

    test('32-bit counters stick at their maximum', () => {
      const host = runningHost()
      host.device.statistics.add(REG.GPTC, 2 ** 33)
      expect(host.read(REG.GPTC)).toBe(0xffffffff)
    })

    test('queues count into the set that RQSMR and TQSM say', () => {
      const host = runningHost()
      host.write(REG.RQSMR, 0x05)
      host.write(REG.TQSM, 0x0f)
      host.wire.waiting.push(frameOf(60))
      host.queueFrame(0, frameOf(60))
      host.write(REG.TDT, 1)
      host.poll()
      expect([host.read(REG.QPRC, 5), host.read(REG.QPTC, 15)]).toEqual([1, 1])
      expect([host.read(REG.QBRC_L, 5), host.read(REG.QBTC_L, 15)]).toEqual([60, 60])
      // QPTC is also where the 82598 had it.
      host.device.statistics.add(REG.QPTC, 3, 2)
      expect(host.device.registers.read(0x06030 + 2 * 0x40)).toBe(3)
    })
  })
})
