/** The client against the program's own server, in another process. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DRIVERS } from '../../../src/driver/registry.ts'
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { allocateShared, type HugepageBlock, releaseBlock } from '../../../src/linux/hugepages.ts'
import { viewOf } from '../../../src/linux/mapping.ts'
import { parseDevice } from '../../../src/pci/address.ts'
import { openTransport } from '../../../src/pci/open.ts'
import type { Transport } from '../../../src/pci/transport.ts'
import { bundle } from './bundle.ts'

let script: string
let directory: string
let server: ChildProcess
let transport: Transport
let memory: HugepageBlock

beforeAll(() => {
  script = bundle('virtual-nic.ts')
})
afterAll(() => {
  rmSync(dirname(script), { recursive: true })
})
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ixy-integration-'))
  const socket = join(directory, 'nic.sock')
  server = fork(script, [socket])
  await once(server, 'message')
  memory = allocateShared(4096)
  transport = openTransport(parseDevice(`vfio-user:${socket}`), { known: DRIVERS, force: false })
})
afterEach(async () => {
  transport.close()
  releaseBlock(memory)
  if (server.exitCode === null && server.signalCode === null) {
    const exited = once(server, 'exit')
    server.disconnect()
    await exited
  }
  rmSync(directory, { recursive: true })
})

test('the virtual 82599 shows its ids, its size and its MAC address', () => {
  expect(transport.config.read32(0)).toBe(0x10fb8086)
  expect(transport.bar0.bytes).toBeGreaterThanOrEqual(128 * 1024)
  // 52:54:00:12:34:56, lowest byte first (82599 §8.2.3.7.9).
  expect(transport.bar0.read32(offsetOf(REG.RAL, 0))).toBe(0x12005452)
  expect(transport.bar0.read32(offsetOf(REG.RAH, 0)) & 0xffff).toBe(0x5634)
})

test('memory is mapped once, and outside of what was shared there is none', () => {
  const segment = { address: memory.address, iova: 2 ** 32, bytes: memory.bytes, fd: memory.fd, fdOffset: 0 }
  transport.mapDma(segment)
  expect(() => transport.mapDma(segment)).toThrow(/refused DMA_MAP/)
  transport.mapDma({ ...segment, iova: 2 ** 33 })
})

test('tails written by message are seen in the shared page', () => {
  const offset = offsetOf(REG.RDT, 0)
  const page = new Uint32Array(viewOf(transport.doorbellPage(0x1000), 4096))
  transport.bar0.write32(offset, 5)
  expect(page[(offset - 0x1000) >>> 2]).toBe(5)
  expect(transport.bar0.read32(offset)).toBe(5)
})

test('interrupts can be armed', () => {
  const fds = transport.enableInterrupts(2)
  expect(new Set(fds).size).toBe(2)
})

test('a second client has to wait until the first has gone', () => {
  const second = () =>
    openTransport(parseDevice(`vfio-user:${join(directory, 'nic.sock')}`), { known: DRIVERS, force: false })
  transport.close()
  transport = second()
  expect(transport.config.read16(0)).toBe(0x8086)
})

test('a server that is killed is noticed at once', async () => {
  transport.assertAlive()
  const exited = once(server, 'exit')
  server.kill('SIGKILL')
  await exited
  const gone = expect.objectContaining({ code: 'IXY_ERR_DEVICE_GONE', exitCode: 1 })
  expect(() => transport.assertAlive()).toThrow(gone)
  expect(() => transport.bar0.write32(0, 0)).toThrow(gone)
})
