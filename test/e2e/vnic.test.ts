/** `ixy-ts vnic` as a server for other ixy-ts. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { close, createMemfd } from '../../src/linux/file.ts'
import { UnixSocket } from '../../src/linux/unix-socket.ts'
import {
  Command,
  decodeHeader,
  encodeDmaMap,
  encodeHeader,
  encodeVersion,
  HEADER_BYTES,
} from '../../src/pci/vfio-user/protocol.ts'
import { Tool, ixy, objects, temporaryDirectory } from './support.ts'

interface End {
  reason: string
  error: unknown
  devices: {
    device: string
    rx: { packets: number; bytes: number }
    tx: { packets: number }
    dropped: Record<string, number>
  }[]
  virtual: { wires: { wire: string; counters: Record<string, number> }[]; breaches: unknown[] }[]
}

function endOf(stdout: string): End {
  return objects(stdout, 'end')[0] as unknown as End
}

const directory = temporaryDirectory()
const file = (name: string): string => path.join(directory, name)

test('a generator at one end of a cable, a forwarder at the other, a server between them', async () => {
  const [a, b] = [file('a.sock'), file('b.sock')]
  const vnic = new Tool(['vnic', a, b, '--json', '--interval', '0.2'])
  await vnic.until(/"event":"start"/)
  // A full ring holds 0.4 s of packets: on a busy machine the forwarder may not run for a while.
  const forward = new Tool(['forward', `vfio-user:${b}`, 'virtual:sink', '--json', '--ring-size', '4096'])
  await forward.until(/"event":"start"/)
  const pktgen = await ixy('pktgen', `vfio-user:${a}`, '--count', '4000', '--rate', '10kpps')
  expect(pktgen.code).toBe(0)
  await vnic.until(/"rx":\{"packets":[1-9]/)
  const forwarded = endOf((await forward.kill()).stdout)
  expect(forwarded.devices[1].tx.packets).toBe(4000)

  const { code, stdout } = await vnic.kill('SIGTERM')
  expect(code).toBe(0)
  const end = endOf(stdout)
  expect(end).toMatchObject({ reason: 'signal', error: null })
  expect(end.devices[0]).toMatchObject({ device: `vfio-user:${a}`, tx: { packets: 4000 } })
  expect(end.devices[1].rx).toMatchObject({ packets: 4000, bytes: 240_000 })
  expect(end.virtual.map(({ breaches }) => breaches)).toEqual([[], []])
  expect([a, b].some((socket) => existsSync(socket))).toBe(false)
})

test('clients come and go; each finds the NIC as after power-on', async () => {
  const socket = file('again.sock')
  const vnic = new Tool(['vnic', socket, '--wire', 'sink', '--json', '--quiet'])
  await vnic.until(/listening on/, 'stderr')
  for (let i = 0; i < 3; i++) {
    expect((await ixy('pktgen', `vfio-user:${socket}`, '--count', '1000')).code).toBe(0)
  }
  const { code, stdout, stderr } = await vnic.kill()
  expect(code).toBe(0)
  expect(stderr.match(/client connected/g)).toHaveLength(3)
  expect(stdout.trim().split('\n')).toHaveLength(1)
  expect(endOf(stdout).virtual[0].wires[0].counters['arrived']).toBe(3000)
})

test.each(['the client is killed', 'the server is stopped'])(
  'frames that wait in its packet buffer when %s are counted',
  async (how) => {
    const socket = file('buffer.sock')
    const vnic = new Tool(['vnic', socket, '--wire', 'gen,rate=50kpps', '--json', '--interval', '0.2'])
    await vnic.until(/listening on/, 'stderr')
    // The ring fills up once the other link is down, then the packet buffer.
    const forward = new Tool(['forward', `vfio-user:${socket}`, 'virtual:sink,fault=linkflap=100ms/60s'])
    await vnic.until(/"missed":[1-9]/)
    if (how === 'the client is killed') {
      await forward.kill('SIGKILL')
      await vnic.until(/client gone/, 'stderr')
    }
    const { code, stdout } = await vnic.kill()
    await forward.kill('SIGKILL')
    expect(code).toBe(0)
    const { devices, virtual } = endOf(stdout)
    const [{ rx, dropped }] = devices
    expect(dropped['rx_buffered']).toBeGreaterThan(1000)
    const accounted = rx.packets + Object.values(dropped).reduce((sum, count) => sum + count)
    expect(accounted).toBe(virtual[0].wires[0].counters['sent'])
  },
)

test('a source that goes on sending is counted for as long as the run lasts', async () => {
  const socket = file('endless.sock')
  const vnic = new Tool(['vnic', socket, '--wire', 'gen,rate=100kpps'])
  await vnic.until(/listening on/, 'stderr')
  const run = ['forward', `vfio-user:${socket}`, 'virtual:sink', '--duration', '0.3', '--json', '--quiet']
  const { code, stdout } = await ixy(...run)
  expect(code).toBe(0)
  const [end] = objects(stdout, 'end') as { elapsed: number; devices: { rx: { mpps: number } }[] }[]
  // With what comes while the run winds down, but by the time of the run, it would be several times the rate.
  expect(end.devices[0].rx.mpps).toBeLessThan(0.15)
  expect(end.elapsed).toBeLessThan(3)
  expect((await vnic.kill()).code).toBe(0)
})

test('--duration ends it', async () => {
  const { code, stdout } = await ixy(
    'vnic',
    file('short.sock'),
    '--wire',
    'gen',
    '--duration',
    '0.3',
    '--json',
  )
  expect(code).toBe(0)
  expect(endOf(stdout).reason).toBe('duration')
})

test('when it dies under a client, the client ends with exit 1 and one line', async () => {
  const socket = file('dying.sock')
  const vnic = new Tool(['vnic', socket, '--wire', 'gen'])
  await vnic.until(/listening on/, 'stderr')
  const forward = new Tool([
    'forward',
    `vfio-user:${socket}`,
    'virtual:sink',
    ...['--log-level', 'warn', '-i', '0.1', '--mode', 'interrupt'],
  ])
  await forward.until(/RX:/)
  await vnic.kill('SIGKILL')
  const { code, stderr } = await forward.end()
  expect(stderr).toMatch(/^ixy-ts: .* \[IXY_ERR_DEVICE_GONE\]\n$/)
  expect(code).toBe(1)
})

test('when it hangs, the client says what it waits for, and goes on when the server does', async () => {
  const socket = file('hanging.sock')
  const vnic = new Tool(['vnic', socket, '--wire', 'gen,rate=10kpps'])
  await vnic.until(/listening on/, 'stderr')
  const forward = new Tool([
    'forward',
    `vfio-user:${socket}`,
    'virtual:sink',
    ...['--log-level', 'warn', '-i', '0.1', '--mode', 'interrupt'],
  ])
  await forward.until(/RX:/)
  vnic.process.kill('SIGSTOP')
  await forward.until(/its server hasn't answered REGION_READ yet, waiting up to 5 s/, 'stderr')
  vnic.process.kill('SIGCONT')
  const seen = forward.stdout.length
  await forward.until(new RegExp(`^[^]{${seen}}[^]*RX: [1-9]`))
  expect((await forward.kill()).code).toBe(0)
  expect((await vnic.kill()).code).toBe(0)
})

test('when it hangs, a second SIGINT ends the client at once', async () => {
  const socket = file('stuck.sock')
  const vnic = new Tool(['vnic', socket, '--wire', 'gen,rate=10kpps'])
  await vnic.until(/listening on/, 'stderr')
  const forward = new Tool([
    'forward',
    `vfio-user:${socket}`,
    'virtual:sink',
    ...['--log-level', 'warn', '-i', '0.1', '--mode', 'interrupt'],
  ])
  await forward.until(/RX:/)
  vnic.process.kill('SIGSTOP')
  await forward.until(/its server hasn't answered/, 'stderr')
  forward.process.kill('SIGINT')
  // Within half a second it would count as the same.
  await new Promise((resolve) => setTimeout(resolve, 600))
  const { code, stderr } = await forward.kill('SIGINT')
  expect(code).toBe(1)
  expect(stderr).not.toMatch(/IXY_ERR_DEVICE_GONE/)
  vnic.process.kill('SIGCONT')
  expect((await vnic.kill()).code).toBe(0)
})

/** A client with memory that it could take away; returns the errno with which it is refused. */
function offerUnsealed(socketPath: string): number {
  const socket = UnixSocket.connect(socketPath)
  const ask = (command: number, payload: Uint8Array, fds: readonly number[]): number => {
    const size = HEADER_BYTES + payload.length
    socket.send([encodeHeader({ id: 1, command, size, flags: 0, error: 0 }), payload], fds)
    const bytes = new Uint8Array(HEADER_BYTES)
    socket.receiveFully(bytes, 10_000)
    const header = decodeHeader(bytes)
    socket.receiveFully(new Uint8Array(header.size - HEADER_BYTES), 10_000)
    return header.error
  }
  const fd = createMemfd('ixy-ts-test', 8192)
  try {
    ask(Command.VERSION, encodeVersion({ major: 0, minor: 1, capabilities: {} }), [])
    const map = { flags: 3, offset: 0, address: 0, size: 8192 }
    return ask(Command.DMA_MAP, encodeDmaMap(map), [fd])
  } finally {
    close(fd)
    socket.close()
  }
}

test('memory that could be taken away is refused, and the log says what to do', async () => {
  const socket = file('unsealed.sock')
  const vnic = new Tool(['vnic', socket, '--wire', 'sink', '--quiet'])
  await vnic.until(/listening on/, 'stderr')
  expect(offerUnsealed(socket)).toBe(1)
  await vnic.until(/unsealed\.sock: DMA_MAP refused: the memfd can be truncated.*--allow-unsealed/, 'stderr')
  expect((await vnic.kill()).code).toBe(0)
})

test('unless the user knows better', async () => {
  const socket = file('allowed.sock')
  const vnic = new Tool(['vnic', socket, '--wire', 'sink', '--quiet', '--allow-unsealed'])
  await vnic.until(/listening on/, 'stderr')
  expect(offerUnsealed(socket)).toBe(0)
  const { code, stderr } = await vnic.kill()
  expect(code).toBe(0)
  expect(stderr).not.toMatch(/refused/)
})
