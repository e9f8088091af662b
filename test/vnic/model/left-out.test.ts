/** What the card does not have: that it says so, and what becomes of what a driver asks for anyway (docs/virtual-nic.md). */
import { put } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { makeEeprom } from '../../../src/vnic/model/eeprom.ts'
import { frameOf, type Host, MAC, runningHost } from './host.ts'
import { totalsOf } from '../../../src/vnic/model/totals.ts'
import { putData, send } from './offloads.ts'
import { tcp4 } from './packets.ts'
import { queuesHost, rssHost, steer } from './queues.ts'

/** The ids of the extended PCI capabilities. */
function extendedCapabilities(host: Host): number[] {
  const ids: number[] = []
  const bytes = new Uint8Array(4)
  let at = 0x100
  while (at !== 0) {
    host.device.config.read(at, bytes)
    const header = new DataView(bytes.buffer).getUint32(0, true)
    ids.push(header & 0xffff)
    at = header >>> 20
  }
  return ids
}

/** A tag of priority 5 and VLAN 7. */
function tagged(frame: Uint8Array): Uint8Array {
  return Uint8Array.from([...frame.slice(0, 12), 0x81, 0x00, (5 << 5) | 0, 7, ...frame.slice(12)])
}

test('SR-IOV: there is no such capability, so no driver makes virtual functions', () => {
  // Advanced error reporting and the serial number.
  expect(extendedCapabilities(runningHost())).toEqual([0x0001, 0x0003])
})

describe('VMDq', () => {
  test.each([8, 10, 11, 12, 13])('MRQC.MRQE %i is reported; all frames go to queue 0', (mode) => {
    const host = rssHost(REG.MRQC.fields.RSS_TCP_IPV4.mask)
    host.write(REG.MRQC, mode | REG.MRQC.fields.RSS_TCP_IPV4.mask)
    for (let port = 1; port < 20; port++)
      expect(steer(host, tcp4('10.0.0.1', port, '10.0.0.2', 80))).toMatchObject({ queue: 0, hash: 0 })
    expect(host.breaches()).toEqual([
      'MRQC.MRQE with traffic classes or pools, which this card does not have (82599 §8.2.3.7.12)',
    ])
  })

  test('pools are reported, and choose nothing', () => {
    const host = queuesHost()
    host.write(REG.PFVTCTL, REG.PFVTCTL.fields.VT_ENA.mask | put(REG.PFVTCTL.fields.DEF_PL, 2))
    host.write(REG.MPSAR, 4)
    expect(steer(host, frameOf(60)).queue).toBe(0)
    expect(host.breaches()).toEqual(['PFVTCTL.VT_ENA set on a card that has no pools (82599 §8.2.3.27.1)'])
  })
})

describe('DCB', () => {
  test.each([2, 3, 4, 5])('MRQC.MRQE %i is reported; the priority does not choose the queue', (mode) => {
    const host = queuesHost()
    host.write(REG.RTRUP2TC, 0o76543210)
    host.write(REG.RTRPCS, 0x6)
    host.write(REG.MRQC, mode)
    expect(steer(host, tagged(frameOf(60))).queue).toBe(0)
    expect(host.breaches()).toEqual([
      'MRQC.MRQE with traffic classes or pools, which this card does not have (82599 §8.2.3.7.12)',
    ])
  })

  test('transmit arbiters hold nothing back', () => {
    const host = runningHost()
    host.write(REG.RTTDCS, 0x51)
    host.write(REG.RTTDQSEL, 0)
    host.write(REG.RTTDT1C, 1)
    host.queueFrame(0, frameOf(60))
    host.write(REG.TDT, 1)
    host.poll()
    expect(host.wire.sent).toEqual([frameOf(60)])
  })
})

test('RSC: no packets are joined; each has its descriptor, as a card may do at any time', () => {
  const host = runningHost()
  const { RSCEN, MAXDESC } = REG.RSCCTL.fields
  host.write(REG.RSCCTL, RSCEN.mask | put(MAXDESC, 3))
  const frames = [1, 2, 3].map((n) => tcp4('10.0.0.1', 1000, '10.0.0.2', 80, Array<number>(100).fill(n)))
  host.wire.waiting.push(...frames)
  host.poll()
  expect(host.read(REG.RDH)).toBe(3)
  for (const [i, frame] of frames.entries()) {
    const { data, status, words } = host.received(i)
    expect(data).toEqual(frame)
    expect(status & 3).toBe(3)
    // RSCCNT.
    expect((words[0] >>> 17) & 0xf).toBe(0)
  }
  expect(host.breaches()).toEqual([])
})

test('header split: the descriptor types for it are reported, and used as plain ones', () => {
  const host = runningHost()
  host.modify(REG.RXDCTL, 0, REG.RXDCTL.fields.ENABLE.mask)
  host.write(REG.SRRCTL, put(REG.SRRCTL.fields.BSIZEPACKET, 2) | put(REG.SRRCTL.fields.DESCTYPE, 5))
  host.write(REG.RDH, 0)
  host.write(REG.RDT, 0)
  host.modify(REG.RXDCTL, REG.RXDCTL.fields.ENABLE.mask)
  host.write(REG.RDT, 8)
  host.wire.waiting.push(tcp4('10.0.0.1', 1000, '10.0.0.2', 80))
  host.poll()
  const { data, words } = host.received(0)
  expect(data).toEqual(tcp4('10.0.0.1', 1000, '10.0.0.2', 80))
  // SPH and HDR_LEN.
  expect(words[0] >>> 21).toBe(0)
  expect(host.breaches()).toContain(
    'receive queue enabled with a descriptor type other than legacy and advanced one-buffer (82599 §8.2.3.8.7)',
  )
})

test('MACsec and IPsec: fused off, so what is asked of them is not done, in either direction', () => {
  const host = runningHost()
  expect(host.read(REG.SECTXSTAT) & REG.SECTXSTAT.fields.SECTX_OFF_DIS.mask).not.toBe(0)
  expect(host.read(REG.SECRXSTAT) & REG.SECRXSTAT.fields.SECRX_OFF_DIS.mask).not.toBe(0)
  host.write(REG.LSECTXCTRL, 2)
  host.write(REG.LSECRXCTRL, 4)
  const frame = frameOf(80)
  host.queueFrame(0, frame)
  host.write(REG.TDT, 1)
  frame.set([0x88, 0xe5], 12)
  host.wire.waiting.push(frame)
  host.poll()
  expect(host.wire.sent).toEqual([frameOf(80)])
  const { data, status } = host.received(0)
  expect(data).toEqual(frame)
  // SECP.
  expect(status & (1 << 17)).toBe(0)
})

describe('FCoE', () => {
  test('the EEPROM says that there is none', () => {
    expect(makeEeprom(MAC)[0x2c] & 2).toBe(2)
  })

  test('a frame that asks for the CRC of FCoE would leave without it: it is reported and not sent', () => {
    const host = runningHost()
    const frame = frameOf(120)
    frame.set([0x89, 0x06], 12)
    // TUCMD.FCoE.
    host.describe(0, [(14 << 9) | 38, 0, 0x20200000 | (1 << 15), 0])
    let tail = putData(host, 1, frame, { options: 1 << 7 })
    expect(send(host, tail)).toEqual([])
    expect(totalsOf(host.device).dropped.tx_invalid).toBe(1)
    expect(host.breaches()).toContain('FCoE offload asked of a card that has none (82599 §7.2.3.2.3)')
    tail = putData(host, tail, frame)
    expect(send(host, tail)).toEqual([frame])
  })

  test('an EtherType filter for it is one as any other; no context is looked up, nothing is counted', () => {
    const host = queuesHost()
    const { FILTER_ENABLE, FCOE } = REG.ETQF.fields
    host.write(REG.ETQF, FILTER_ENABLE.mask | FCOE.mask | 0x8906, 2)
    host.write(REG.FCRECTL, 1)
    host.write(REG.FCRETA, 3)
    const frame = frameOf(120)
    frame.set([0x89, 0x06], 12)
    expect(steer(host, frame)).toMatchObject({ queue: 0, word0: 0x8020 })
    host.write(REG.ETQS, REG.ETQS.fields.QUEUE_ENABLE.mask | put(REG.ETQS.fields.RX_QUEUE, 2), 2)
    const { queue, status } = steer(host, frame)
    expect([queue, status]).toEqual([2, 3])
    for (const register of [REG.FCOEPRC, REG.FCOERPDC, REG.FCOEDWRC]) expect(host.read(register)).toBe(0)
  })
})
