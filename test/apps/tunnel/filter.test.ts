/** `tunnel --filter`: what of the inner side is carried, and what becomes of the rest. */
import { arpRequest } from '../../examples/frames.ts'
import { describeIf, missing } from '../../skip.ts'
import { bothEnds, carry, End, INNER, innerFrame, OUTER } from './rig.ts'

const filteredOut = ({ ports }: End): number[] => ports.map((port) => port.filteredOut)
const hex = (frames: readonly Uint8Array[]): string[] =>
  frames.map((frame) => Buffer.from(frame).toString('hex'))
const QUESTION = arpRequest({
  ...{ from: '10.0.0.1', to: '10.0.0.2' },
  ...{ fromMac: '02:00:00:00:00:0a', toMac: 'ff:ff:ff:ff:ff:ff' },
})
const frames = (inner: { toMac?: Uint8Array } = {}): Uint8Array[] =>
  [1000, 1001, 1000, 1002, 1001, 1000].map((sourcePort) => innerFrame(4, { sourcePort, ...inner }))

describeIf(missing({ libpcap: true }), 'tunnel --filter', () => {
  test('into the tunnel: what does not match stays, and is filtered out at the inner side', () => {
    const [a, b] = bothEnds(4, { encap: 'vxlan', vni: 42 }, { a: { filter: 'src port 1000' } })
    const all = frames()
    expect(hex(carry(a, b, ...all).there)).toEqual(hex([all[0], all[2], all[5]]))
    expect(filteredOut(a)).toEqual([0, 3])
    expect(a.counted).toEqual({ encapsulated: 3, asked: 1, outer_noted: 1 })
    // It is no exception for what Ethernet needs: that is in the tunnel.
    expect(carry(a, b, QUESTION).there).toEqual([])
    expect(filteredOut(a)).toEqual([0, 4])
    expect([a.held, b.held]).toEqual([0, 0])
  })

  test('out of it: likewise, filtered out at the outer side, and not decapsulated', () => {
    const [a, b] = bothEnds(6, { encap: 'geneve', vni: 7 }, { b: { filter: 'src port 1000 or arp' } })
    const all = frames()
    expect(hex(carry(a, b, ...all).there)).toEqual(hex([all[0], all[2], all[5]]))
    expect(filteredOut(b)).toEqual([3, 0])
    expect(b.counted).toEqual({ decapsulated: 3, outer_answered: 1 })
    expect(carry(a, b, QUESTION).there).toHaveLength(1)
    expect([a.held, b.held]).toEqual([0, 0])
  })

  test('a filter sees frames as they are at the inner side: with the VLAN tag that stays there', () => {
    const [a, b] = [
      new End({
        ...{ encap: 'vxlan', local: '192.0.2.1', map: ['vlan=10,vni=42,remote=192.0.2.2'] },
        filter: 'vlan 10 and src port 1000',
      }),
      new End({
        ...{ encap: 'vxlan', local: '192.0.2.2', map: ['vlan=10,vni=42,remote=192.0.2.1'] },
        filter: 'vlan 10 and udp',
      }),
    ]
    const sent = innerFrame(4, { sourcePort: 1000, vlan: 10 })
    const { there } = carry(a, b, sent, innerFrame(4, { sourcePort: 1001, vlan: 10 }))
    expect(hex(there)).toEqual(hex([sent]))
    expect([filteredOut(a), filteredOut(b)]).toEqual([
      [0, 1],
      [0, 0],
    ])
  })

  test('without Ethernet, questions for MAC addresses are answered whatever the filter says', () => {
    const [a, b] = bothEnds(4, { encap: 'fou', port: 5555 }, { a: { filter: 'src port 1000' } })
    const { there, back } = carry(a, b, QUESTION, ...frames({ toMac: a.job.innerMac }))
    expect([there.length, back.length]).toEqual([3, 1])
    expect(a.counted).toEqual({ encapsulated: 3, inner_answered: 1, asked: 1, outer_noted: 1 })
    expect(filteredOut(a)).toEqual([0, 3])
  })

  test('what does not match is not told that it is too big', () => {
    const [a] = bothEnds(4, { encap: 'vxlan', vni: 42 }, { a: { filter: 'not src port 1000' } })
    const [out, back] = a.receive(INNER, innerFrame(4, { sourcePort: 1000, payloadBytes: 1472 }))
    expect([out, back]).toEqual([[], []])
    expect([a.counted, filteredOut(a)]).toEqual([{}, [0, 1]])
    expect(a.receive(OUTER)).toEqual([[], []])
  })
})
