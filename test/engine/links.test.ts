import type { Device, LinkState } from '../../src/driver/device.ts'
import { Links } from '../../src/engine/links.ts'

/** Devices that have a link and hear of others'. */
function devicesWith(links: LinkState[]): { devices: Device[]; heard: boolean[][] } {
  const heard: boolean[][] = links.map(() => [])
  const devices = links.map((_, index) => ({
    name: `device ${index}`,
    link: () => links[index],
    follow: (isUp: boolean) => heard[index].push(isUp),
  }))
  return { devices: devices as unknown as Device[], heard }
}

const observer = { warning: () => undefined, progress: () => undefined, link: jest.fn() }
const UP = { up: true, mbit: 0 }
const DOWN = { up: false, mbit: 0 }

test('a device hears of the link of the one whose packets it gets, at the start and when it changes', async () => {
  const states = [UP, UP, UP]
  const { devices, heard } = devicesWith(states)
  const passes = [
    [0, 1],
    [1, 0],
  ] as const
  const links = new Links({ devices, assertAlive: () => undefined }, observer, passes)
  await links.untilUp(new AbortController().signal)
  expect(heard).toEqual([[true], [true], []])
  states[0] = DOWN
  links.look()
  expect(heard).toEqual([[true, true], [true, false], []])
  expect(observer.link.mock.calls).toEqual([[{ index: 0, device: 'device 0', up: false }]])
})

test('one that gets packets of two has a link while either has one', () => {
  const states = [UP, DOWN, UP]
  const { devices, heard } = devicesWith(states)
  const passes = [
    [0, 2],
    [1, 2],
    [3, 2],
  ] as const
  const links = new Links({ devices, assertAlive: () => undefined }, { ...observer }, passes)
  void links.untilUp(AbortSignal.abort())
  states[0] = DOWN
  links.look()
  expect(heard[2]).toEqual([true, false])
})
