import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { pollOne, POLLIN } from '../../../src/linux/poll.ts'
import { openTap } from '../../../src/linux/tap.ts'
import { EtherType } from '../../../src/packet/ethernet.ts'
import { TapWire } from '../../../src/vnic/wires/tap.ts'
import { describeIf, firstLine, missing } from '../../skip.ts'
import { countersOf, FakePort, pollAll, someFrame } from './fake-port.ts'

const name = `ixw${process.pid}`.slice(0, 15)

/** Why this machine can't make TAP interfaces and namespaces, or null. */
function obstacle(): string | null {
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' })
    execFileSync('ip', ['netns', 'delete', name], { stdio: 'pipe' })
    return null
  } catch (error) {
    return firstLine(error)
  }
}

const reason = missing({ tap: true, programs: ['ip', 'bash'] }) ?? obstacle()

describeIf(reason, 'the tap wire', () => {
  let wire: TapWire
  let chatter = 0
  const ip = (...args: string[]) => execFileSync('ip', ['-n', name, ...args], { encoding: 'utf8' })
  const inside = (script: string) => execFileSync('ip', ['netns', 'exec', name, 'bash', '-c', script])
  const statistic = (which: string) =>
    Number(
      ip('-s', '-j', 'link', 'show', name).match(
        new RegExp(`"${which}":\\{"bytes":\\d+,"packets":(\\d+)`),
      )?.[1],
    )

  beforeEach(() => {
    wire = new TapWire(`tap=${name}`, openTap(name))
    // A namespace of its own: nobody else's traffic, no IPv6 chatter.
    execFileSync('ip', ['netns', 'add', name])
    execFileSync('ip', ['link', 'set', name, 'netns', name])
    inside('sysctl -qw net.ipv6.conf.all.disable_ipv6=1')
    ip('link', 'set', name, 'up')
    ip('address', 'add', '10.0.0.1/24', 'dev', name)
    // What was sent on it before it came here.
    pollAll(wire, new FakePort())
    chatter = countersOf(wire).sent
  })
  afterEach(() => {
    wire.close()
    wire.close()
    execFileSync('ip', ['netns', 'delete', name])
  })

  /** Makes the kernel send `count` datagrams to `address`. */
  const datagrams = (count: number, address: string) =>
    inside(`for i in $(seq ${count}); do echo -n $i > /dev/udp/${address}/9; done`)
  const neighbour = () => ip('neighbour', 'add', '10.0.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', name)

  test('frames of the kernel arrive in order, padded to 60 bytes', () => {
    neighbour()
    datagrams(12, '10.0.0.2')
    expect(pollOne(wire.wakeFds[0], POLLIN, 5000)).not.toBe(0)
    const port = new FakePort()
    expect(wire.poll(port, 5)).toBe(5)
    expect(wire.poll(port, 64)).toBe(7)
    expect(wire.poll(port, 64)).toBe(0)
    const frames = port.take()
    expect(frames.map((frame) => frame.toString('latin1', 42, 44).replace('\0', ''))).toEqual(
      Array.from({ length: 12 }, (_, i) => String(i + 1)),
    )
    for (const frame of frames) {
      expect(frame.length).toBe(60)
      expect(frame.subarray(44)).toEqual(Buffer.alloc(16))
      expect(frame.subarray(0, 6).toString('hex')).toBe('020000000002')
    }
    // A card that says there is room, and then drops what comes.
    datagrams(2, '10.0.0.2')
    expect(pollOne(wire.wakeFds[0], POLLIN, 5000)).not.toBe(0)
    port.deliver = () => false
    expect(wire.poll(port, 64)).toBe(2)
    expect(countersOf(wire)).toEqual({
      arrived: 0,
      refused: 0,
      sent: chatter + 14,
      undelivered: 2,
      kernelDroppedIn: 0,
      kernelDroppedOut: 0,
    })
  })

  test('they wait in the interface while the host has no descriptor', () => {
    neighbour()
    datagrams(8, '10.0.0.2')
    const port = new FakePort(0)
    expect(wire.poll(port, 64)).toBe(0)
    port.descriptors = 3
    expect(wire.poll(port, 64)).toBe(3)
    port.descriptors = 100
    expect(wire.poll(port, 64)).toBe(5)
    expect(port.missed).toBe(0)
  })

  test('the kernel receives what the NIC sends, and answers', () => {
    const mac = /link\/ether ([0-9a-f:]+)/.exec(ip('link', 'show', name))?.[1].replaceAll(':', '')
    const request = someFrame(0)
    request.u8.fill(0)
    request.u8.set(
      Buffer.from(
        `ffffffffffff02000000000208060001080006040001${'020000000002'}0a000002${'000000000000'}0a000001`,
        'hex',
      ),
    )
    expect(wire.send(request, 0, 60)).toBe(true)
    expect(pollOne(wire.wakeFds[0], POLLIN, 5000)).not.toBe(0)
    const port = new FakePort()
    wire.poll(port, 64)
    const [answer] = port.take()
    expect(answer.readUInt16BE(12)).toBe(EtherType.ARP)
    expect(answer.subarray(0, 6).toString('hex')).toBe('020000000002')
    expect(answer.subarray(20, 32).toString('hex')).toBe(`0002${mac}0a000001`)
  })

  test('any length at any offset', () => {
    const before = statistic('rx')
    for (let i = 0; i < 50; i++) {
      const frame = someFrame(i, 1600)
      expect(wire.send(frame, i, 60 + i * 29)).toBe(true)
    }
    expect(statistic('rx')).toBe(before + 50)
    expect(countersOf(wire)).toMatchObject({ arrived: 50, refused: 0 })
  })

  /** `rx` or `tx` of the interface as the kernel's own tool shows it. */
  const droppedBy = (direction: string) =>
    Number(
      ip('-s', '-j', 'link', 'show', name).match(new RegExp(`"${direction}":\\{[^}]*"dropped":(\\d+)`))?.[1],
    )

  test('what finds no room in the interface is counted as the kernel counts it', () => {
    neighbour()
    datagrams(1500, '10.0.0.2')
    const dropped = droppedBy('tx')
    expect(dropped).toBeGreaterThan(0)
    expect(countersOf(wire)).toMatchObject({ kernelDroppedIn: dropped, kernelDroppedOut: 0 })
    let taken = 0
    for (let count = 1; count > 0; taken += count) count = wire.poll(new FakePort(), 64)
    expect(taken + dropped).toBe(1500)
    ip('link', 'delete', name)
    expect(countersOf(wire)).toMatchObject({ kernelDroppedIn: dropped })
  })

  test('what the kernel takes and throws away is counted, what it refuses only once', () => {
    // Of no protocol that anybody here speaks.
    for (let i = 0; i < 7; i++) expect(wire.send(someFrame(i), 0, 60)).toBe(true)
    const dropped = droppedBy('rx')
    expect(countersOf(wire)).toMatchObject({ arrived: 7, refused: 0, kernelDroppedOut: dropped })
    ip('link', 'set', name, 'down')
    for (let i = 0; i < 3; i++) expect(wire.send(someFrame(i), 0, 60)).toBe(true)
    expect(countersOf(wire)).toMatchObject({ arrived: 10, refused: 3, kernelDroppedOut: dropped })
  })

  test('an interface that is down refuses, and comes back', () => {
    ip('link', 'set', name, 'down')
    expect(wire.send(someFrame(1), 0, 60)).toBe(true)
    expect(countersOf(wire)).toMatchObject({ arrived: 1, refused: 1 })
    expect(wire.poll(new FakePort(), 64)).toBe(0)
    ip('link', 'set', name, 'up')
    expect(wire.send(someFrame(1), 0, 60)).toBe(true)
    expect(countersOf(wire)).toMatchObject({ arrived: 2, refused: 1 })
  })

  test('a deleted interface is an error that says so', () => {
    ip('link', 'delete', name)
    const gone = expect.objectContaining({
      code: 'IXY_ERR_DEVICE_GONE',
      message: expect.stringContaining(`the TAP interface ${name} has been deleted`),
    })
    expect(() => wire.poll(new FakePort(), 64)).toThrow(gone)
    // What is sent is not taken, and poll() says why.
    expect(wire.send(someFrame(1), 0, 60)).toBe(false)
    expect(() => wire.poll(new FakePort(), 64)).toThrow(gone)
  })

  test('sends nothing once it was stopped, and unplugs at its end', () => {
    neighbour()
    datagrams(1, '10.0.0.2')
    wire.stop()
    expect([wire.ended(), wire.poll(new FakePort(), 64)]).toEqual([true, 0])
    wire.close()
    expect(readFileSync('/proc/net/dev', 'utf8')).not.toContain(name)
    expect(ip('link', 'show')).not.toContain(name)
  })
})
