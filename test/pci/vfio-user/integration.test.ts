/** The client against the program's own server, in another process. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DRIVERS } from '../../../src/driver/registry.ts'
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { write } from '../../../src/linux/file.ts'
import { canWaitForWords } from '../../../src/linux/futex.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { allocateShared, type HugepageBlock, releaseBlock } from '../../../src/linux/hugepages.ts'
import { viewOf } from '../../../src/linux/mapping.ts'
import { parseDevice } from '../../../src/pci/address.ts'
import { listCapabilities } from '../../../src/pci/config-space.ts'
import { openTransport } from '../../../src/pci/open.ts'
import type { Transport } from '../../../src/pci/transport.ts'
import { testIf } from '../../skip.ts'
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
  expect(transport.bar(0).bytes).toBeGreaterThanOrEqual(128 * 1024)
  // 52:54:00:12:34:56, lowest byte first (82599 §8.2.3.7.9).
  expect(transport.bar(0).read32(offsetOf(REG.RAL, 0))).toBe(0x12005452)
  expect(transport.bar(0).read32(offsetOf(REG.RAH, 0)) & 0xffff).toBe(0x5634)
})

test('several registers are read as if one after the other', () => {
  const bar = transport.bar(0)
  // None that changes by itself, as STATUS does when the link comes up.
  const registers = [REG.RAL, REG.RAH, REG.RDRXCTL, REG.CTRL]
  const offsets = registers.map((register) => offsetOf(register, 0))
  expect(bar.readAll32?.(offsets)).toEqual(offsets.map((offset) => bar.read32(offset)))
})

const reason = canWaitForWords() ? null : 'needs Linux 5.16 (futex_waitv)'
testIf(reason, 'a message that wakes the server gets no reply, and takes nothing from the next one', () => {
  const call = transport.handover?.call
  if (call === undefined) throw new Error('no handover')
  for (let i = 0; i < 3; i++) {
    expect(write(call.fd, call.message)).toBe(call.message.length)
    expect(transport.bar(0).read32(offsetOf(REG.RAL, 0))).toBe(0x12005452)
  }
})

test('memory is mapped once, and outside of what was shared there is none', () => {
  const segment = { address: memory.address, iova: 2 ** 32, bytes: memory.bytes, fd: memory.fd, fdOffset: 0 }
  transport.mapDma(segment)
  expect(() => transport.mapDma(segment)).toThrow(/refused DMA_MAP/)
  transport.mapDma({ ...segment, iova: 2 ** 33 })
})

test('tails written by message are seen in the shared page', () => {
  const offset = offsetOf(REG.RDT, 0)
  const doorbell = transport.doorbell(0, offset)
  if (doorbell?.kind !== 'memory') throw new Error('not in memory')
  const page = new Uint32Array(viewOf(doorbell.page, 4096))
  transport.bar(0).write32(offset, 5)
  expect(page[(offset - 0x1000) >>> 2]).toBe(5)
  expect(transport.bar(0).read32(offset)).toBe(5)
})

test('any BAR, any width, and the list of capabilities can be read', () => {
  expect(listCapabilities(transport.config, transport.name)).toEqual([
    { id: 0x01, offset: 0x40 },
    { id: 0x05, offset: 0x50 },
    { id: 0x11, offset: 0x70 },
    { id: 0x10, offset: 0xa0 },
  ])
  // The table of MSI-X is in BAR4.
  const bar = transport.bar(4)
  expect([bar.space, bar.bytes]).toEqual(['memory', 16 * 1024])
  bar.write32(0, 0xfee01000)
  expect([bar.read32(0), bar.read16(2), bar.read8(1)]).toEqual([0xfee01000, 0xfee0, 0x10])
  expect(transport.bar(0).read16(offsetOf(REG.RAH, 0))).toBe(0x5634)
  for (const index of [1, 2, 3, 5]) expect(() => transport.bar(index)).toThrow(/has no registers in BAR/)
  expect(transport.doorbell(4, 0)).toBeNull()
  transport.config.write8(0x3c, 11)
  expect(transport.config.read32(0x3c)).toBe(0x010b)
  transport.config.write32(0x54, 0xfee02000)
  expect(transport.config.read32(0x54)).toBe(0xfee02000)
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
  expect(() => transport.bar(0).write32(0, 0)).toThrow(gone)
})
