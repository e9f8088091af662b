/** Legacy descriptors, as boot loaders use them (82599 §7.1.5, §7.2.3.2.1). */
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { BASE, BUFFERS, frameOf, Host, RX_RING, runningHost } from './host.ts'
import { counting, internetChecksum, tcp4, udp4 } from './packets.ts'

const [EOP, IFCS, IC, RS, VLE] = [1 << 24, 1 << 25, 1 << 26, 1 << 27, 1 << 30]

/** A card whose queue is as a reset leaves it: SRRCTL.DESCTYPE is 0. */
function legacyHost(options = {}): Host {
  const host = runningHost(options)
  host.write(REG.SRRCTL, 2)
  return host
}

function descriptor(host: Host, index: number): number[] {
  const word = (RX_RING - BASE + index * 16) >> 2
  return Array.from(host.memory.u32.subarray(word, word + 4))
}

function deliver(host: Host, frame: Uint8Array): void {
  host.wire.waiting.push(frame)
  host.poll()
}

describe.each([
  ['in bursts', true],
  ['one by one', false],
])('receive, %s', (_, fast) => {
  test('leaves the address, and writes length, status, errors and VLAN tag behind it', () => {
    const host = legacyHost({ fast })
    host.write(REG.RXDCTL, 0)
    host.write(REG.RDT, 0)
    host.write(REG.RDH, 0)
    host.write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask)
    host.write(REG.RDT, 63)
    const before = descriptor(host, 0).slice(0, 2)
    const frame = frameOf(77)
    for (let i = 0; i < 3; i++) deliver(host, frame)
    for (let i = 0; i < 3; i++) expect(descriptor(host, i).slice(2)).toEqual([77, 3])
    expect(descriptor(host, 0).slice(0, 2)).toEqual(before)
    const at = BUFFERS - BASE
    expect(host.memory.u8.slice(at, at + 77)).toEqual(frame)
    expect([host.read(REG.GPRC), host.read(REG.RDH)]).toEqual([3, 3])
    expect(host.breaches()).toEqual([])
  })
})

test('reports checksums and tags as advanced descriptors do', () => {
  const host = legacyHost()
  host.modify(REG.RXDCTL, REG.RXDCTL.fields.VME.mask)
  const good = tcp4('10.0.0.1', 1, '10.0.0.2', 2)
  const badTcp = good.slice()
  badTcp[60] ^= 1
  const badIp = good.slice()
  badIp[24] ^= 1
  const tagged = frameOf(80)
  tagged.set([0x81, 0x00, 0xff, 0xfe], 12)
  for (const frame of [good, badTcp, badIp, tagged]) deliver(host, frame)
  const words = [0, 1, 2, 3].map((index) => descriptor(host, index).slice(2))
  expect(words).toEqual([
    [74, 0x63],
    [74, 0x4063],
    [74, 0x8043],
    [76, 0xfffe000b],
  ])
})

test('a frame over several buffers ends with EOP', () => {
  const host = legacyHost()
  host.write(REG.SRRCTL, 1)
  deliver(host, frameOf(1500))
  expect([0, 1].map((index) => descriptor(host, index).slice(2))).toEqual([
    [1024, 1],
    [476, 3],
  ])
})

test('other descriptor types than the modelled ones are reported', () => {
  const host = legacyHost()
  host.write(REG.RXDCTL, 0)
  host.write(REG.SRRCTL, (2 << 25) | 2)
  host.write(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask)
  expect(host.breaches().join()).toMatch(/descriptor type other than legacy and advanced one-buffer/)
})

test('a boot loader that sets up no more than it needs receives and sends, and is told only what is so', () => {
  const host = new Host()
  const { RST, LRST } = REG.CTRL.fields
  host.modify(REG.CTRL, RST.mask | LRST.mask)
  host.startTransmit(16)
  for (const [register, value] of [
    [REG.RDBAL, RX_RING % 2 ** 32],
    [REG.RDBAH, Math.floor(RX_RING / 2 ** 32)],
    [REG.RDLEN, 16 * 16],
    [REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask],
  ] as const)
    host.write(register, value)
  host.write(REG.IVAR, 0x8180)
  host.modify(REG.DMATXCTL, REG.DMATXCTL.fields.TE.mask)
  host.acceptAll()
  // At its old address, with the type that the reset left: legacy.
  host.device.registers.write(0x2100, (host.device.registers.read(0x2100) & ~0x1f) | 2)
  host.modify(REG.HLREG0, REG.HLREG0.fields.JUMBOEN.mask)
  host.write(REG.MAXFRS, 1522 << 16)
  host.device.registers.write(0x2200, host.device.registers.read(0x2200) & ~0x1000)
  host.enableReceive()
  for (let i = 0; i < 15; i++) host.armReceive(i)
  host.write(REG.RDT, 15)
  host.waitForLink()
  deliver(host, frameOf(100))
  expect(descriptor(host, 0).slice(2)).toEqual([100, 3])
  const at = host.place(0, frameOf(60))
  host.describe(0, [at % 2 ** 32, Math.floor(at / 2 ** 32), EOP | IFCS | RS | 60, 0])
  host.write(REG.TDT, 1)
  host.poll()
  expect(host.wire.sent).toEqual([frameOf(60)])
  expect(host.read(REG.EICR) & 3).toBe(3)
  expect(host.breaches()).toEqual([
    'transmit queue enabled before DMATXCTL.TE (82599 §4.6.8.1)',
    'RDRXCTL.RSCFRSTSIZE is not 0 (82599 §8.2.3.8.8)',
    'RDRXCTL.RSCACKC is not set (82599 §8.2.3.8.8)',
    'RDRXCTL.FCOE_WRFIX is not set (82599 §8.2.3.8.8)',
    'HLREG0.RXCRCSTRP and RDRXCTL.CRCSTRIP differ (82599 §8.2.3.22.8)',
  ])
})

describe('transmit', () => {
  function put(host: Host, index: number, bytes: Uint8Array, command: number, word3 = 0): void {
    const at = host.place(index, bytes)
    host.describe(index, [at % 2 ** 32, Math.floor(at / 2 ** 32), command | bytes.length, word3])
  }

  function send(host: Host, tail: number): Uint8Array[] {
    host.write(REG.TDT, tail)
    host.poll()
    return host.wire.sent
  }

  test.each([
    ['in bursts', true],
    ['one by one', false],
  ])('%s: a frame in one or several descriptors, with DD where RS asks for it', (_, fast) => {
    const host = runningHost({ fast })
    const [a, b] = [frameOf(77), frameOf(100)]
    put(host, 0, a, EOP | IFCS | RS)
    put(host, 1, b.slice(0, 40), IFCS)
    put(host, 2, b.slice(40), EOP | IFCS | RS)
    host.queueFrame(3, a)
    expect(send(host, 4)).toEqual([a, b, a])
    expect([0, 1, 2, 3].map((index) => host.transmitStatus(index) & 1)).toEqual([1, 0, 1, 1])
    expect([host.read(REG.GPTC), host.read(REG.TDH)]).toEqual([3, 4])
    expect(host.breaches()).toEqual([])
  })

  test('inserts a checksum over what stands in its field, from CSS to the end, at CSO', () => {
    const host = runningHost()
    const frame = udp4('10.0.0.1', 1, '10.0.0.2', 2, counting(100))
    const packet = frame.slice()
    const length = packet.length - 34
    const pseudo = ~internetChecksum([...packet.slice(26, 34), 0, 17, length >> 8, length & 0xff])
    packet.set([(pseudo >> 8) & 0xff, pseudo & 0xff], 40)
    put(host, 0, packet, EOP | IFCS | RS | IC | (40 << 16), 34 << 8)
    expect(send(host, 1)).toEqual([frame])
    expect(host.breaches()).toEqual([])
    // The rest of the word stays.
    expect(host.transmitStatus(0)).toBe((34 << 8) | 1)
  })

  test('inserts a VLAN tag', () => {
    const host = runningHost()
    const frame = frameOf(70)
    put(host, 0, frame, EOP | IFCS | VLE, 0x602a_0000)
    const tag = [0x81, 0x00, 0x60, 0x2a]
    expect(send(host, 1)).toEqual([Uint8Array.from([...frame.slice(0, 12), ...tag, ...frame.slice(12)])])
  })

  test('a checksum outside of the packet is not inserted, and reported', () => {
    for (const [start, at] of [
      [77, 40],
      [14, 76],
    ]) {
      const host = runningHost()
      put(host, 0, frameOf(77), EOP | IFCS | IC | (at << 16), start << 8)
      expect(send(host, 1)).toEqual([frameOf(77)])
      expect(host.breaches().join()).toMatch(/CSS or CSO/)
    }
  })

  test('an empty descriptor is no packet', () => {
    const host = runningHost()
    host.describe(0, [0, 0, EOP | RS, 0])
    put(host, 1, frameOf(60), EOP | IFCS)
    expect(send(host, 2)).toEqual([frameOf(60)])
    expect([host.transmitStatus(0), host.device.transmit.invalid]).toEqual([1, 0])
    expect(host.breaches()).toEqual([])
  })

  test('a cleared ring with a tail that was left behind sends nothing, and the tail is reported', () => {
    const host = runningHost()
    host.write(REG.TXDCTL, 0)
    host.write(REG.TDT, 60)
    host.write(REG.TXDCTL, REG.TXDCTL.fields.ENABLE.mask)
    host.poll(3)
    host.write(REG.TDT, 0)
    host.queueFrame(0, frameOf(60))
    expect(send(host, 1)).toEqual([frameOf(60)])
    expect(host.device.transmit.invalid).toBe(0)
    expect(host.breaches()).toEqual([
      'TDT moved before the transmit queue was enabled (82599 §4.6.8.1)',
      // From 60 back to 0.
      "TDT caught up with TDH: one descriptor must stay the host's (82599 §7.2.3.3)",
    ])
  })

  test('legacy and advanced descriptors in one packet: dropped, counted and reported', () => {
    const host = runningHost()
    put(host, 0, frameOf(60), IFCS)
    host.queueFrame(1, frameOf(60))
    host.queueFrame(2, frameOf(61))
    expect(send(host, 3)).toEqual([frameOf(61)])
    expect(host.device.transmit.invalid).toBe(1)
    expect(host.breaches().join()).toMatch(/in one packet/)
  })
})
