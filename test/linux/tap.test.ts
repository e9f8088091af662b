import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tryRead, tryWrite } from '../../src/linux/file.ts'
import { pollOne, POLLIN } from '../../src/linux/poll.ts'
import { openTap, openTapQueues, type Tap } from '../../src/linux/tap.ts'
import { describeIf, missing, testIf } from '../skip.ts'

const name = `ixt${process.pid}`.slice(0, 15)

describeIf(missing({ tap: true, programs: ['ip'] }), 'a TAP interface', () => {
  let tap: Tap
  let onTestEnd = (): unknown => undefined
  beforeEach(() => {
    tap = openTap(name)
  })
  afterEach(() => {
    tap.close()
    onTestEnd()
    onTestEnd = () => undefined
  })

  const sysfs = `/sys/class/net/${name}`

  test('exists and is up while it is open, and is gone afterwards', () => {
    expect(Number(readFileSync(`${sysfs}/flags`, 'utf8')) & 1).toBe(1)
    expect(readFileSync(`${sysfs}/carrier`, 'utf8').trim()).toBe('1')
    tap.close()
    tap.close()
    expect(existsSync(sysfs)).toBe(false)
  })

  test('has one user at a time', () => {
    expect(() => openTap(name)).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_IN_USE' }))
  })

  test('delivers frames to the kernel, which counts them', () => {
    const frame = new Uint8Array(60)
    frame.fill(0xff, 0, 6)
    frame.set([2, 0, 0, 0, 0, 1, 0x88, 0xb5], 6)
    const received = () => Number(readFileSync(`${sysfs}/statistics/rx_packets`, 'utf8'))
    const before = received()
    expect(tryWrite(tap.fd, frame, 60)).toBe(60)
    expect(received()).toBe(before + 1)
  })

  test('gives what the kernel sends, frame by frame', () => {
    const wanted = Buffer.from('0a000002', 'hex')
    // In a network namespace of its own: the addresses are nobody's business.
    execFileSync('ip', ['netns', 'add', name])
    onTestEnd = () => execFileSync('ip', ['netns', 'delete', name])
    execFileSync('ip', ['link', 'set', name, 'netns', name])
    execFileSync('ip', ['-n', name, 'link', 'set', name, 'up'])
    execFileSync('ip', ['-n', name, 'address', 'add', '10.0.0.1/24', 'dev', name])
    execFileSync('ip', [
      '-n',
      name,
      'neighbour',
      'add',
      '10.0.0.2',
      'lladdr',
      '02:00:00:00:00:02',
      'dev',
      name,
    ])
    execFileSync('ip', ['netns', 'exec', name, 'bash', '-c', 'echo -n hello > /dev/udp/10.0.0.2/9'])
    const deadline = performance.now() + 5000
    const buffer = new Uint8Array(2048)
    let found = false
    while (!found && performance.now() < deadline) {
      pollOne(tap.fd, POLLIN, 1000)
      const bytes = tryRead(tap.fd, buffer, buffer.length)
      // IPv4 with our destination: other frames are the kernel's own (IPv6 neighbour discovery).
      found = bytes === 14 + 20 + 8 + 5 && wanted.equals(buffer.subarray(30, 34))
      if (found) expect(Buffer.from(buffer.subarray(42, 47)).toString()).toBe('hello')
    }
    expect(found).toBe(true)
  })
})

describeIf(missing({ tap: true, programs: ['ip'] }), 'a persistent TAP interface with several queues', () => {
  const multi = `${name}m`.slice(-15)
  beforeAll(() => execFileSync('ip', ['tuntap', 'add', multi, 'mode', 'tap', 'multi_queue']))
  afterAll(() => execFileSync('ip', ['tuntap', 'delete', multi, 'mode', 'tap', 'multi_queue']))

  test('works, for one user at a time, and stays', () => {
    const one = openTap(multi)
    expect(readFileSync(`/sys/class/net/${multi}/carrier`, 'utf8').trim()).toBe('1')
    expect(() => openTap(multi)).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_IN_USE' }))
    one.close()
    openTap(multi).close()
    expect(existsSync(`/sys/class/net/${multi}`)).toBe(true)
  })

  test('has as many queues as are asked for, for one user at a time', () => {
    const three = openTapQueues(multi, 3)
    expect(three.fds).toHaveLength(3)
    const transmit = readdirSync(`/sys/class/net/${multi}/queues`).filter((queue) => queue.startsWith('tx-'))
    expect(transmit).toHaveLength(3)
    for (const queues of [1, 2])
      expect(() => openTapQueues(multi, queues)).toThrow(
        expect.objectContaining({ code: 'IXY_ERR_DEVICE_IN_USE' }),
      )
    three.close()
    three.close()
    openTapQueues(multi, 1).close()
  })
})

describeIf(missing({ tap: true, programs: ['ip'] }), 'a persistent TAP interface with one queue', () => {
  const single = `${name}s`.slice(-15)
  beforeAll(() => execFileSync('ip', ['tuntap', 'add', single, 'mode', 'tap']))
  afterAll(() => execFileSync('ip', ['tuntap', 'delete', single, 'mode', 'tap']))

  test('has no more', () => {
    expect(() => openTapQueues(single, 2)).toThrow(
      expect.objectContaining({
        code: 'IXY_ERR_DEVICE_UNSUPPORTED',
        fix: expect.stringContaining('multi_queue'),
      }),
    )
    expect(() => openTapQueues('lo', 2)).toThrow(/not a TAP/)
  })

  test('has the MAC address that the system shows', () => {
    const tap = openTapQueues(single, 1)
    const shown = readFileSync(`/sys/class/net/${single}/address`, 'utf8').trim().split(':')
    expect(tap.mac).toEqual(Uint8Array.from(shown, (byte) => Number.parseInt(byte, 16)))
    tap.close()
  })

  testIf(missing({ programs: ['ethtool'] }), 'leaves no work to the next who reads from it', () => {
    const cuts = (): string => {
      const features = execFileSync('ethtool', ['-k', single], { encoding: 'utf8' })
      return /tcp-segmentation-offload: (on|off)/.exec(features)?.[1] ?? 'unknown'
    }
    const tap = openTapQueues(single, 1)
    expect(cuts()).toBe('off')
    expect(tap.leaveWork().tcp).toBe(true)
    expect(cuts()).toBe('on')
    tap.close()
    expect(cuts()).toBe('off')
  })
})

test.each(['all', 'default'])("the name %s is Linux's own, and the error says so", (bad) => {
  expect(() => openTap(bad)).toThrow(
    expect.objectContaining({
      code: 'IXY_ERR_USAGE',
      message: expect.stringContaining(`net.ipv4.conf.${bad}`),
    }),
  )
})

test.each(['', 'a/b', 'a b', 'longer-than-an-interface', 'tap%d', '..', 'ääääääää'])(
  'the name %j is refused',
  (bad) => {
    expect(() => openTap(bad)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
  },
)

test('an interface of another kind is refused', () => {
  expect(() => openTap('lo')).toThrow(/not a TAP|not permitted|no \/dev\/net\/tun/)
})
