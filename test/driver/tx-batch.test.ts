import fc from 'fast-check'
import type { App } from '../../src/engine/app.ts'
import { TxBatch } from '../../src/driver/tx-batch.ts'
import { FakeRun } from '../examples/fake-ports.ts'

const idle: App = { name: 'idle', ports: { min: 1, max: 1 }, make: () => ({ step: () => 0 }) }

test('every packet is sent once, in order, or freed and counted', () => {
  const round = fc.record({ packets: fc.nat(30), room: fc.nat(30) })
  fc.assert(
    fc.property(fc.array(round, { maxLength: 10 }), fc.integer({ min: 1, max: 20 }), (rounds, most) => {
      const { memory, ports } = new FakeRun(idle as never, 1, undefined)
      const [port] = ports
      const out = new TxBatch(memory, port.tx, most)
      const ids = new Int32Array(30)
      let mark = 0
      for (const { packets, room } of rounds) {
        port.roomPerStep = room
        port.nextStep()
        expect(memory.allocate(0, ids, packets)).toBe(packets)
        const first = mark
        for (const id of ids.subarray(0, packets)) {
          memory.size[id] = 1
          memory.u8[memory.dataOffset(id)] = mark++
          out.add(id)
        }
        const dropped = out.flush()
        const sent = port.sent.splice(0).map(([byte]) => byte)
        expect(sent).toEqual(
          Array.from({ length: Math.min(packets, most, room) }, (_, i) => (first + i) & 0xff),
        )
        expect(sent.length + dropped).toBe(packets)
        expect(memory.available(0)).toBe(memory.size.length)
      }
      expect(out.flush()).toBe(0)
    }),
  )
})
