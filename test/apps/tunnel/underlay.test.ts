import { PATIENCE, Underlay } from '../../../src/apps/tunnel/underlay.ts'
import { Waiting } from '../../../src/apps/tunnel/waiting.ts'

const MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0xff, 1)

/** What two workers of a run have in common: two hops, two networks. */
function twoWorkers(): [Underlay, Underlay] {
  const shared = Underlay.allocate(2, 2)
  return [new Underlay(shared, 2, 2, 1500), new Underlay(shared, 2, 2, 1500)]
}

function seconds(underlay: Underlay, count: number): number[] {
  const asked: number[] = []
  for (let i = 0; i < count; i++) underlay.everySecond((hop) => asked.push(hop))
  return asked
}

const macOf = (underlay: Underlay, hop: number): number[] | null => {
  const mac = new Uint8Array(8)
  return underlay.copyMac(hop, mac, 1) ? [...mac] : null
}

describe('next hops', () => {
  test('what one worker learns the others know, and that there is something new', () => {
    const [first, second] = twoWorkers()
    const { version } = second
    expect(macOf(second, 1)).toBeNull()
    first.learn(1, MAC)
    expect(second.version).not.toBe(version)
    expect(macOf(second, 1)).toEqual([0, ...MAC, 0])
    expect(macOf(second, 0)).toBeNull()
    const learned = second.version
    first.learn(1, MAC)
    expect(second.version).toBe(learned)
  })

  test('one worker asks; then once a second, twice more; then the next packet begins anew', () => {
    const [first, second] = twoWorkers()
    expect([second.wants(0), first.wants(0), second.wants(0)]).toEqual([true, false, false])
    expect(seconds(first, 1)).toEqual([0])
    expect(seconds(first, 5)).toEqual([0])
    expect(second.wants(0)).toBe(true)
  })

  test('a packet waits until the last request has had its second', () => {
    const [underlay] = twoWorkers()
    const waiting = new Waiting()
    const dropped: number[] = []
    waiting.add(7, 0, underlay.tick)
    underlay.wants(0)
    seconds(underlay, PATIENCE - 1)
    waiting.expire(underlay.tick, (id) => dropped.push(id))
    expect(dropped).toEqual([])
    seconds(underlay, 1)
    waiting.expire(underlay.tick, (id) => dropped.push(id))
    expect(dropped).toEqual([7])
  })

  test('one that is known is asked again after a minute, stays in use meanwhile, and is forgotten if it is silent', () => {
    const [underlay] = twoWorkers()
    underlay.learn(0, MAC)
    expect(seconds(underlay, 59)).toEqual([])
    expect(seconds(underlay, 3)).toEqual([0, 0, 0])
    expect(macOf(underlay, 0)).not.toBeNull()
    seconds(underlay, 1)
    expect(macOf(underlay, 0)).toBeNull()
  })

  test('one that answers is not asked for another minute', () => {
    const [underlay] = twoWorkers()
    underlay.learn(0, MAC)
    seconds(underlay, 60)
    underlay.learn(0, MAC)
    expect(seconds(underlay, 59)).toEqual([])
    expect(seconds(underlay, 1)).toEqual([0])
  })

  test('hosts at the inner side are others', () => {
    const [first, second] = twoWorkers()
    first.learn(first.hostOf(0), MAC)
    expect([0, 1, second.hostOf(0), second.hostOf(1)].map((hop) => macOf(second, hop) !== null)).toEqual([
      false,
      false,
      true,
      false,
    ])
    expect([first.mtuOf(0), first.mtuOf(1)]).toEqual([1500, 1500])
    expect(seconds(first, 100)).toEqual([])
  })
})

describe('paths', () => {
  test('only become narrower, for ten minutes from the last time that one was told so', () => {
    const [first, second] = twoWorkers()
    first.lowerMtu(1, 1400)
    first.lowerMtu(1, 1450)
    expect([second.mtuOf(0), second.mtuOf(1)]).toEqual([1500, 1400])
    seconds(first, 500)
    second.lowerMtu(1, 1400)
    seconds(first, 599)
    const { version } = second
    expect(second.mtuOf(1)).toBe(1400)
    seconds(first, 1)
    expect(second.mtuOf(1)).toBe(1500)
    expect(second.version).not.toBe(version)
  })

  test('more than the link carries is no news', () => {
    const [underlay] = twoWorkers()
    const { version } = underlay
    underlay.lowerMtu(0, 9000)
    underlay.lowerMtu(0, 1500)
    expect([underlay.mtuOf(0), underlay.version]).toEqual([1500, version])
  })
})

describe('waiting packets', () => {
  test('leave in order, when theirs is known', () => {
    const waiting = new Waiting()
    for (let id = 0; id < 6; id++) waiting.add(id, id % 2, 0)
    const sent: number[] = []
    waiting.release(Uint8Array.of(0, 1), (id) => sent.push(id))
    waiting.release(Uint8Array.of(0, 1), (id) => sent.push(id))
    expect(sent).toEqual([1, 3, 5])
    waiting.close((id) => sent.push(id))
    expect(sent).toEqual([1, 3, 5, 0, 2, 4])
    expect(waiting.add(9, 0, 0)).toBe(false)
  })

  test('are 64 at most', () => {
    const waiting = new Waiting()
    const taken = Array.from({ length: 70 }, (_, id) => waiting.add(id, 0, 0))
    expect(taken.filter(Boolean)).toHaveLength(64)
  })
})
