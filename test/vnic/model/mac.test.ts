/** What the MAC keeps for itself: PAUSE and other MAC control frames (IEEE 802.3 §31). */
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { totalsOf } from '../../../src/vnic/model/totals.ts'
import { frameOf, type Host, MAC, runningHost } from './host.ts'

const { PMCF, DPF, RFCE, RPFCE } = REG.MFLCN.fields
const GROUP = Uint8Array.of(0x01, 0x80, 0xc2, 0x00, 0x00, 0x01)

function control(opcode: number, quanta: number, to = GROUP): Uint8Array {
  const frame = new Uint8Array(60)
  frame.set(to)
  frame.set([2, 0, 0, 0, 0, 1, 0x88, 0x08, opcode >> 8, opcode & 0xff, quanta >> 8, quanta & 0xff], 6)
  return frame
}

function receive(host: Host, ...frames: Uint8Array[]): number {
  const before = host.read(REG.RDH)
  host.wire.waiting.push(...frames)
  host.poll()
  return host.read(REG.RDH) - before
}

describe.each([
  ['in bursts', true],
  ['one by one', false],
])('%s', (_, fast) => {
  test('PAUSE frames stay in the MAC, counted as XON and XOFF and in no counter of received packets', () => {
    const host = runningHost({ fast })
    const frames = [frameOf(60), control(1, 0xffff), frameOf(60), control(1, 0), control(1, 5, MAC)]
    expect(receive(host, ...frames, frameOf(60))).toBe(3)
    expect(host.wire.delivered).toEqual([true, false, true, false, false, true])
    expect([host.read(REG.LXONRXCNT), host.read(REG.LXOFFRXCNT)]).toEqual([1, 2])
    const counters = [REG.TPR, REG.GPRC, REG.MPRC, REG.PRC64, REG.QPRC]
    expect(counters.map((register) => host.read(register))).toEqual([3, 3, 0, 3, 3])
    expect(totalsOf(host.device).dropped).toMatchObject({ mac_control: 3, filtered: 0, missed: 0 })
  })
})

test('what is shorter than a header is dropped and counted; what is longer was padded on the way', () => {
  const host = runningHost()
  expect(receive(host, frameOf(60).slice(0, 13), frameOf(60).slice(0, 14))).toBe(1)
  expect(host.wire.delivered).toEqual([false, true])
  const counters = [REG.TPR, REG.GPRC, REG.GORCL, REG.PRC64]
  expect(counters.map((register) => host.read(register))).toEqual([1, 1, 64, 1])
  expect(totalsOf(host.device).dropped).toMatchObject({ undersize: 1, oversize: 0 })
})

test.each([
  ['not obeyed and not passed', 0, 0],
  ['not obeyed, DPF does not matter', DPF.mask, 0],
  ['not obeyed, passed', PMCF.mask, 1],
  ['obeyed, not discarded', RFCE.mask, 1],
  ['obeyed and discarded', RFCE.mask | DPF.mask | PMCF.mask, 0],
])('PAUSE frames: %s', (_, mflcn, received) => {
  const host = runningHost()
  host.write(REG.MFLCN, mflcn)
  expect(receive(host, control(1, 0))).toBe(received)
  expect(totalsOf(host.device).dropped['mac_control']).toBe(1 - received)
})

test('other MAC control frames, and PAUSE to somebody else, go by PMCF', () => {
  const host = runningHost()
  const others = [control(7, 0), control(0x0101, 0), control(1, 9, Uint8Array.of(2, 0, 0, 0, 0, 9))]
  expect(receive(host, ...others)).toBe(0)
  host.write(REG.MFLCN, PMCF.mask)
  expect(receive(host, ...others)).toBe(3)
  expect([host.read(REG.LXONRXCNT), host.read(REG.LXOFFRXCNT)]).toEqual([0, 0])
})

test('priority flow control is counted by class if it is on, and holds nothing up', () => {
  const host = runningHost()
  const frame = control(0x0101, 0b1000_0101)
  // Times of classes 0 to 7; those of which the bit isn't set mean nothing.
  frame.set([0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0], 18)
  receive(host, frame)
  host.write(REG.MFLCN, RPFCE.mask | DPF.mask)
  receive(host, frame, frame)
  const by = (register: typeof REG.PXOFFRXCNT): number[] =>
    Array.from({ length: 8 }, (_, i) => host.read(register, i))
  expect(by(REG.PXOFFRXCNT)).toEqual([2, 0, 0, 0, 0, 0, 0, 2])
  expect(by(REG.PXONRXCNT)).toEqual([0, 0, 2, 0, 0, 0, 0, 0])
  expect(host.device.nextEvent(host.now)).toBe(Infinity)
})

test('while it is to be obeyed, PAUSE stops transmission for its time, and XON ends that', () => {
  const host = runningHost()
  host.write(REG.MFLCN, RFCE.mask | DPF.mask)
  // 3.36 ms, the longest there is.
  receive(host, control(1, 0xffff))
  const until = host.device.nextEvent(host.now)
  expect(until - host.now).toBeCloseTo((65535 * 512) / 10e6, 6)
  host.queueFrame(0, frameOf(60))
  host.write(REG.TDT, 1)
  host.device.poll(host.now + 3)
  expect(host.wire.sent.length).toBe(0)
  host.device.poll(until)
  expect(host.wire.sent.length).toBe(1)
  host.now = until
  receive(host, control(1, 0xffff))
  receive(host, control(1, 0))
  host.queueFrame(1, frameOf(60))
  host.write(REG.TDT, 2)
  host.poll()
  expect(host.wire.sent.length).toBe(2)
})
