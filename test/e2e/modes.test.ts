import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { mixedFrames, readCapture, writeCapture } from './captures.ts'
import { LAUNCHER, MODULES, Tool, bundle, ixy, objects, temporaryDirectory } from './support.ts'

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

describe('jumbo frames', () => {
  const frames = mixedFrames(300).map((frame, i) => {
    const jumbo = new Uint8Array(i % 3 === 0 ? 9014 - i : frame.length)
    jumbo.set(frame.subarray(0, jumbo.length))
    jumbo.fill(i, frame.length)
    return jumbo
  })

  test('pass whole with --mtu 9000', async () => {
    writeCapture(file('in.pcap'), frames)
    const args = [`virtual:replay=${file('in.pcap')}`, `virtual:record=${file('out.pcap')}`, '--mtu', '9000']
    expect((await ixy('forward', ...args)).code).toBe(0)
    const received = readCapture(file('out.pcap'))
    expect(received.length).toBe(frames.length)
    received.forEach((frame, i) => expect(Buffer.compare(frame, frames[i])).toBe(0))
  })

  test('are generated at both ends', async () => {
    const wire = 'virtual:gen,size=9014,count=5000'
    const { code, stdout } = await ixy('forward', '--json', wire, wire, '--mtu', '9000', '--expect-loss', '0')
    expect(code).toBe(0)
    expect(objects(stdout, 'end')[0]).toMatchObject({
      devices: [0, 1].map(() => ({ tx: { packets: 5000, bytes: 5000 * 9014 } })),
      loss: { lost: 0, of: 10_000 },
    })
    const pktgen = ['pktgen', `virtual:record=${file('jumbo.pcap')}`, '--count', '100', '--mtu', '9000']
    expect((await ixy(...pktgen, '--size', '9018', '--vlan', '7')).code).toBe(0)
    const sizes = readCapture(file('jumbo.pcap')).map((frame) => frame.length)
    expect(sizes).toEqual(Array.from({ length: 100 }, () => 9018))
  })

  test('are counted as oversize without', async () => {
    writeCapture(file('in.pcap'), frames)
    const { stdout } = await ixy('forward', '--json', `virtual:replay=${file('in.pcap')}`, 'virtual:sink')
    const [end] = objects(stdout, 'end') as {
      devices: { rx: { packets: number }; dropped: Record<string, number> }[]
    }[]
    expect(end.devices[0].rx.packets).toBe(200)
    expect(end.devices[0].dropped['oversize']).toBe(100)
  })
})

describe.each(['interrupt', 'adaptive'])('--mode %s', (mode) => {
  test('forwards as much and as faithfully as polling', async () => {
    const args = ['forward', '--json', '--mode', mode, 'virtual:gen,count=100000', 'virtual:gen,count=100000']
    const { code, stdout } = await ixy(...args)
    expect(code).toBe(0)
    const [end] = objects(stdout, 'end') as {
      virtual: { wires: { counters: object }[]; breaches: object[] }[]
    }[]
    for (const { wires, breaches } of end.virtual) {
      expect(wires[0].counters).toMatchObject({
        received: 100_000,
        lost: 0,
        duplicated: 0,
        reordered: 0,
        corrupted: 0,
      })
      expect(breaches).toEqual([])
    }
  })

  test('loses nothing in falling asleep and waking up, again and again', async () => {
    const args = ['forward', '--json', '--mode', mode, 'virtual:gen,rate=400pps,count=300', 'virtual:sink']
    const { stdout } = await ixy(...args)
    const [end] = objects(stdout, 'end') as { virtual: { wires: { counters: object }[] }[] }[]
    expect(end.virtual[0].wires[0].counters).toMatchObject({
      sent: 300,
      received: 300,
      undelivered: 0,
      reordered: 0,
    })
  })

  test('sleeps when there is nothing to do', async () => {
    const tool = new Tool(['forward', '--mode', mode, 'virtual:sink', 'virtual:sink', '-i', '0.5'])
    await tool.until(/RX:/)
    const ticks = (): number => {
      const fields = readFileSync(`/proc/${tool.pid}/stat`, 'utf8').split(') ')[1].split(' ')
      return Number(fields[11]) + Number(fields[12])
    }
    const before = ticks()
    // CPU time is what is measured, over a stretch of time: three intervals of half a second.
    const seen = tool.stdout.length
    await tool.until(new RegExp(`^[^]{${seen}}([^]*RX:){6}`))
    // A worker that polls would have used some 150 ticks; the control plane uses its share of these.
    expect(ticks() - before).toBeLessThan(20)
    expect((await tool.kill()).code).toBe(0)
  })
})

describe('on a kernel without futex_waitv (before Linux 5.16)', () => {
  const FUTEX_WAITV = '449'
  let lesser: string
  beforeAll(() => {
    lesser = bundle('on-lesser-kernel', directory)
  })

  test('nobody waits for words', () => {
    const args = [lesser, FUTEX_WAITV, process.execPath, bundle('can-wait', directory)]
    const env = { ...process.env, ...MODULES }
    expect(execFileSync(process.execPath, args, { encoding: 'utf8', env })).toBe('false')
  })

  test.each(['poll', 'adaptive', 'interrupt'])('--mode %s loses nothing, also on one CPU', async (mode) => {
    const wire = 'virtual:gen,count=20000'
    const args = ['forward', wire, wire, '--mode', mode, '--json', '--expect-loss', '0']
    const command = [FUTEX_WAITV, '/usr/bin/taskset', '-c', '0', process.execPath, LAUNCHER, ...args]
    const { code, stdout } = await new Tool(command, { launcher: lesser, env: MODULES }).end()
    expect(code).toBe(0)
    expect(objects(stdout, 'end')[0]).toMatchObject({ loss: { lost: 0, of: 40_000 } })
  })
})

test('several queues and one flow: a hint, once', async () => {
  const args = ['virtual:gen,count=50000', 'virtual:sink', '--queues', '2', '--log-level', 'warn']
  const { code, stderr } = await ixy('forward', ...args)
  expect(code).toBe(0)
  expect(stderr.match(/one of its 2 queues gets every packet/g)).toHaveLength(1)
})

test('several queues: each flow on one of them, and the counters of the queues add up', async () => {
  const args = ['virtual:gen,flows=64,count=50000', 'virtual:gen,flows=64,count=50000', '--queues', '2']
  const { code, stdout, stderr } = await ixy('forward', '--json', ...args)
  expect(code).toBe(0)
  expect(stderr).not.toContain('gets every packet')
  interface Counters {
    index: number
    queue: number | null
    rx: { packets: number; bytes: number }
    tx: { packets: number; bytes: number }
  }
  const [end] = objects(stdout, 'end') as {
    devices: Counters[]
    virtual: { wires: { counters: object }[] }[]
  }[]
  // Order is kept within a flow; with two workers a flow that moved between queues would be reordered.
  for (const { wires } of end.virtual) {
    expect(wires[0].counters).toMatchObject({
      received: 50_000,
      lost: 0,
      duplicated: 0,
      reordered: 0,
      corrupted: 0,
    })
  }
  for (const index of [0, 1]) {
    const own = end.devices.filter((device) => device.index === index)
    const whole = own.find(({ queue }) => queue === null)
    const queues = own.filter(({ queue }) => queue !== null)
    expect(queues.length).toBe(2)
    for (const direction of ['rx', 'tx'] as const) {
      for (const counter of ['packets', 'bytes'] as const) {
        const sum = queues.reduce((total, queue) => total + queue[direction][counter], 0)
        expect(sum).toBe(whole?.[direction][counter])
      }
      expect(queues.every((queue) => queue[direction].packets > 10_000)).toBe(true)
    }
  }
})
