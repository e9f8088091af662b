/** The kernel at the other end judges: what it has counted is what the driver has. */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { open, type OpenDevices } from '../../../src/library/open.ts'
import { Session } from '../../../src/engine/session.ts'
import { tapQueues } from '../../../src/driver/tap/queues.ts'
import type { TapQueueSpec } from '../../../src/driver/tap/queue-spec.ts'
import { PacketMemory } from '../../../src/memory/packets.ts'
import { pings } from '../../pings.ts'
import { describeIf, missing } from '../../skip.ts'

const id = `ixd${process.pid}`
const reason = missing({ root: true, tap: true, programs: ['ip', 'ping'] })
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })

/** A namespace with the interface in it, and an address. */
function settle(name: string, address: string): void {
  ip('netns', 'add', name)
  ip('link', 'set', name, 'netns', name)
  execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1'])
  ip('-n', name, 'address', 'add', address, 'dev', name)
  ip('-n', name, 'link', 'set', name, 'up')
}

interface Statistics {
  readonly rx: { readonly packets: number; readonly bytes: number }
  readonly tx: { readonly packets: number; readonly bytes: number; readonly dropped: number }
}

function statistics(name: string): Statistics {
  const [{ stats64 }] = JSON.parse(ip('-n', name, '-s', '-j', 'link', 'show', name)) as {
    stats64: Statistics
  }[]
  return stats64
}

/** Ethernet, IPv4, UDP, and a byte. */
const HELLO = 14 + 20 + 8 + 1

describeIf(reason, 'a TAP interface as a device', () => {
  const left = `${id}a`
  const right = `${id}b`
  let opened: OpenDevices

  beforeAll(async () => {
    opened = await open({ devices: [`tap:${left}`, `tap:${right}`] })
    settle(left, '10.98.0.1/24')
    settle(right, '10.98.0.2/24')
  })
  afterAll(async () => {
    await opened.close()
    for (const name of [left, right]) ip('netns', 'delete', name)
  })

  test('says what it is', () => {
    expect(opened.devices).toMatchObject([
      { device: `tap:${left}`, model: 'Linux TAP interface', access: 'tap', linkUp: true, linkMbit: 0 },
      { device: `tap:${right}` },
    ])
    // Of its own: the interface has another one.
    expect(ip('-n', left, 'link', 'show', left)).not.toContain(opened.devices[0].mac)
    expect(Number.parseInt(opened.devices[0].mac, 16) & 3).toBe(2)
  })

  test('two of them forward between two stacks, and count what these do', async () => {
    const { ports, memory } = opened
    const batch = memory.batch(32)
    const forward = (): void => {
      for (const [from, to] of [ports, [ports[1], ports[0]]])
        to.tx.transmit(batch, 0, from.rx.receive(batch, to.tx.room()))
    }
    const inside = async (...command: string[]): Promise<string> =>
      (await promisify(execFile)('ip', ['netns', 'exec', left, ...command])).stdout
    let ended = false
    const answered = pings(inside, '-c 50 -i 0.002 -q', '10.98.0.2').finally(() => (ended = true))
    while (!ended) {
      forward()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await answered
    forward()
    for (const [port, name] of [left, right].entries()) {
      const { rx, tx } = statistics(name)
      const ours = opened.statistics(port)
      expect(ours).toMatchObject({
        rxPackets: tx.packets,
        rxBytes: tx.bytes,
        txPackets: rx.packets,
        txBytes: rx.bytes,
      })
      expect(ours.rxPackets).toBeGreaterThan(50)
    }
  })

  test('what an interface that is down does not take is counted', () => {
    const { ports, memory } = opened
    ip('-n', right, 'link', 'set', right, 'down')
    expect(opened.link(1)).toEqual({ up: false, mbit: 0 })
    const batch = memory.batch(3)
    expect(memory.allocate(0, batch, 3)).toBe(3)
    for (const packet of batch) memory.size[packet] = 60
    const free = memory.available(0)
    const before = opened.statistics(1)
    expect(ports[1].tx.transmit(batch, 0, 3)).toBe(3)
    expect(memory.available(0)).toBe(free + 3)
    const after = opened.statistics(1)
    expect(after.txPackets).toBe(before.txPackets)
    expect(after.dropped['tx_refused'] - before.dropped['tx_refused']).toBe(3)
    ip('-n', right, 'link', 'set', right, 'up')
    expect(opened.link(1)).toEqual({ up: true, mbit: 0 })
  })
})

describeIf(reason, 'a TAP interface without io_uring', () => {
  const name = `${id}c`

  test('works the same, and its end is seen', async () => {
    const session = await Session.open({ devices: [`tap:${name}`] })
    try {
      settle(name, '10.97.0.1/24')
      const [{ memory: spec, ports }] = session.queueSets
      const memory = new PacketMemory(spec)
      const pair = tapQueues.attach({ ...(ports[0] as TapQueueSpec), ring: null }, memory, 0)
      pair.start()
      const batch = memory.batch(32)
      const [device] = session.devices
      ip('-n', name, 'neighbour', 'add', '10.97.0.2', 'lladdr', '02:00:00:00:00:02', 'dev', name)
      execFileSync('ip', [
        'netns',
        'exec',
        name,
        'bash',
        '-c',
        'for i in 1 2 3; do echo > /dev/udp/10.97.0.2/9; done',
      ])
      // Nothing comes in before start().
      expect(pair.rx.receive(batch, 32)).toBe(0)
      device.start()
      let hellos = 0
      while (hellos < 3) {
        const count = pair.rx.receive(batch, 32)
        for (let i = 0; i < count; i++) if (memory.size[batch[i]] === HELLO) hellos++
        expect(pair.tx.transmit(batch, 0, count)).toBe(count)
      }
      const { rx, tx } = statistics(name)
      const counted = { rxPackets: tx.packets, rxBytes: tx.bytes, txPackets: rx.packets, txBytes: rx.bytes }
      expect(device.statistics()).toMatchObject(counted)
      expect(rx.packets).toBeGreaterThanOrEqual(3)
      device.assertAlive()
      ip('-n', name, 'link', 'delete', name)
      expect(() => device.assertAlive()).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_GONE' }))
      expect(device.statistics()).toMatchObject(counted)
      expect(pair.rx.receive(batch, 32)).toBe(0)
    } finally {
      await session.close()
      ip('netns', 'delete', name)
    }
    expect(existsSync(`/sys/class/net/${name}`)).toBe(false)
  })
})
