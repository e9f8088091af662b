import { execFileSync } from 'node:child_process'
import { interfaceDrops, interfaceUse } from '../../src/linux/interfaces.ts'
import { openTap, type Tap } from '../../src/linux/tap.ts'
import { describeIf, missing } from '../skip.ts'

const name = `ixi${process.pid}`.slice(0, 15)
const sysfs = `/sys/class/net/${name}`

describeIf(missing({ tap: true, programs: ['ip'] }), 'the use of a real interface', () => {
  let tap: Tap
  beforeEach(() => {
    tap = openTap(name)
  })
  afterEach(() => {
    tap.close()
  })
  const ip = (...words: string[]) => execFileSync('ip', words)

  test('is that it is up, or else that it has an address, or else none', () => {
    expect(interfaceUse(name, sysfs)).toBe('is up')
    ip('link', 'set', name, 'down')
    expect(interfaceUse(name, sysfs)).toBeNull()
    // From the range for documentation (RFC 5737); an interface that is down has no route to it.
    ip('address', 'add', '192.0.2.77/32', 'dev', name)
    expect(interfaceUse(name, sysfs)).toBe('has an address')
    ip('address', 'flush', 'dev', name)
    expect(interfaceUse(name, sysfs)).toBeNull()
  })
})

test('an interface that does not exist is not used', () => {
  expect(interfaceUse('ixy-no-such-if', '/sys/class/net/ixy-no-such-if')).toBeNull()
})

test("drops are read from the kernel's table, for names of all kinds", () => {
  const table = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
a-longer-name12:1 2    3   40    5     6          7         8        9      10   11   1200   13    14      15         16
  tap0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
`
  expect(interfaceDrops(table, 'a-longer-name12')).toEqual({ received: 43, sent: 1211 })
  expect(interfaceDrops(table, 'tap0')).toEqual({ received: 0, sent: 0 })
  expect(interfaceDrops(table, 'tap')).toBeNull()
})
