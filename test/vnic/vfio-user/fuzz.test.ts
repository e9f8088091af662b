/** Whatever a client sends, the server lives, and the next well-formed client is served. */
import fc from 'fast-check'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { closing } from '../../../src/linux/background-close.ts'
import { close, createEventFd, createSealedMemfd } from '../../../src/linux/file.ts'
import {
  Command,
  encodeDmaMap,
  encodeDmaUnmap,
  encodeHeader,
  encodeIrqSet,
  encodeRegionAccess,
  encodeRegionInfoRequest,
  encodeRegionWriteMulti,
  encodeVersion,
  HEADER_BYTES,
  Region,
} from '../../../src/pci/vfio-user/protocol.ts'
import { startNic, TestClient } from './client.ts'

// Seconds on a quiet machine.
jest.setTimeout(120_000)

interface Sent {
  readonly bytes: Uint8Array
  /** Descriptors to send along: `m` memory, `e` eventfd. */
  readonly fds: readonly ('m' | 'e')[]
}

const u32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 1, 4, 7, 32, 0x1000, 0x6000, 0x80000, 0x7fffffff, 0xffffffff),
)
const address = fc.oneof(
  fc.constantFrom(0, 0x1000, 0x2000, 0xc0000, 2 ** 32, 2 ** 40, 2 ** 52 - 4096, 2 ** 53 - 1),
  fc.integer({ min: 0, max: 64 }).map((page) => page * 4096),
  fc.maxSafeNat(),
)
const descriptors = fc.array(fc.constantFrom<'m' | 'e'>('m', 'e'), { maxLength: 3 })
const data = fc.uint8Array({ maxLength: 16 })

/** A message with a right header around a payload that may be anything. */
function message(command: fc.Arbitrary<number>, payload: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Sent> {
  return fc
    .record({ command, payload, fds: descriptors, flags: fc.constantFrom(0, 0, 0, 0x10, 1, 0x21) })
    .map(({ command: number, payload: bytes, fds, flags }) => {
      const size = HEADER_BYTES + bytes.length
      const header = encodeHeader({ id: 1, command: number, size, flags, error: 0 })
      return { bytes: Uint8Array.from([...header, ...bytes]), fds }
    })
}

const wellFormed = fc.oneof(
  message(
    fc.constant(Command.DMA_MAP),
    fc.record({ flags: u32, offset: address, address, size: address }).map(encodeDmaMap),
  ),
  message(
    fc.constant(Command.DMA_UNMAP),
    fc.record({ flags: fc.constantFrom(0, 2, 5), address, size: address }).map(encodeDmaUnmap),
  ),
  message(
    fc.constant(Command.DEVICE_GET_REGION_INFO),
    fc.tuple(u32, u32).map(([index, argsz]) => encodeRegionInfoRequest(index, argsz)),
  ),
  message(
    fc.constant(Command.DEVICE_SET_IRQS),
    fc
      .record({ flags: fc.integer({ min: 0, max: 0x7f }), index: fc.nat(6), start: u32, count: u32, data })
      .map(encodeIrqSet),
  ),
  message(
    fc.constantFrom(Command.REGION_READ, Command.REGION_WRITE),
    fc
      .record({ offset: address, region: fc.nat(10), count: fc.nat(20), data })
      .map((access) =>
        encodeRegionAccess({ ...access, count: access.count % 2 === 0 ? access.data.length : access.count }),
      ),
  ),
  message(
    fc.constant(Command.REGION_WRITE),
    fc.record({ offset: fc.integer({ min: 0, max: 0x20000 }), value: u32 }).map(({ offset, value }) =>
      encodeRegionAccess({
        offset: offset & ~3,
        region: Region.BAR0,
        count: 4,
        data: new Uint8Array(Uint32Array.of(value).buffer),
      }),
    ),
  ),
  message(
    fc.constant(Command.REGION_WRITE_MULTI),
    fc
      .array(
        fc.record({
          offset: u32,
          region: fc.nat(9),
          count: fc.nat(12),
          data: fc.uint8Array({ maxLength: 8 }),
        }),
      )
      .map(encodeRegionWriteMulti),
  ),
  message(fc.constant(Command.DEVICE_RESET), fc.constant(new Uint8Array(0))),
  message(fc.integer({ min: 0, max: 0xffff }), fc.uint8Array({ maxLength: 64 })),
)

/** A message with some of its bytes changed, or cut short. */
const mutated = fc
  .record({
    sent: wellFormed,
    at: fc.nat(60),
    value: fc.nat(255),
    cut: fc.option(fc.nat(80)),
  })
  .map(({ sent, at, value, cut }) => {
    const bytes = sent.bytes.slice(0, cut ?? sent.bytes.length)
    if (bytes.length > 0) bytes[at % bytes.length] = value
    return { ...sent, bytes }
  })

const garbage = fc.record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 200 }), fds: descriptors })

const HELLO = encodeVersion({ major: 0, minor: 2, capabilities: {} })

/** Until the background has closed what it has to. */
async function settle(): Promise<void> {
  while (closing() > 0) await new Promise(setImmediate)
}

/** Sends everything on one connection, lets the NIC run in between, and looks whether it still serves others. */
async function survives(sequence: readonly Sent[], hello: Uint8Array | null): Promise<void> {
  const { nic, path, wire } = startNic()
  const memory = createSealedMemfd('ixy-ts-fuzz', 65536)
  const event = createEventFd()
  const attacker = new TestClient(nic, path)
  try {
    if (hello !== null) attacker.post(Command.VERSION, hello)
    for (const { bytes, fds } of sequence) {
      attacker.turn(1)
      if (attacker.socket.peerHasClosed() || bytes.length === 0) continue
      wire.waiting.push(new Uint8Array(64).fill(0xff))
      attacker.sendRaw(
        bytes,
        fds.map((kind) => (kind === 'm' ? memory : event)),
      )
    }
    attacker.turn(50)
    attacker.close()
    attacker.turn()
    await settle()
    const honest = new TestClient(nic, path)
    honest.hello()
    expect(honest.read(Region.CONFIG, 0)).toBe(0x10fb8086)
    expect(honest.read(Region.BAR0, offsetOf(REG.RXCTRL))).toBe(0)
    honest.share(0x400000, 0x400000)
    honest.close()
  } finally {
    attacker.close()
    nic.close()
    close(memory)
    close(event)
  }
}

test('random bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(garbage, { maxLength: 5 }), (sequence) => survives(sequence, null)),
    { numRuns: 60, seed: 1 },
  )
})

test('well-formed messages with arbitrary contents', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(wellFormed, { maxLength: 40 }), fc.boolean(), (sequence, shared) =>
      survives(
        sequence,
        shared ? encodeVersion({ major: 0, minor: 2, capabilities: { ixy_shared_doorbells: true } }) : HELLO,
      ),
    ),
    { numRuns: 150, seed: 2 },
  )
})

test('messages changed on the way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mutated, { maxLength: 20 }), (sequence) => survives(sequence, HELLO)),
    { numRuns: 150, seed: 2 },
  )
})

test('a VERSION of any content', async () => {
  const json = fc.oneof(
    fc.json().map((text) => Buffer.from(`\0\0\0\0${text}\0`)),
    fc.uint8Array({ maxLength: 40 }),
    fc
      .record({ max_msg_fds: fc.jsonValue(), ixy_shared_doorbells: fc.jsonValue() })
      .map((capabilities) => Buffer.from(`\0\0\0\0${JSON.stringify({ capabilities })}\0`)),
  )
  await fc.assert(
    fc.asyncProperty(json, (hello) => survives([], hello)),
    { numRuns: 60, seed: 1 },
  )
})

test('descriptors of the client end up closed', async () => {
  const { readdirSync } = await import('node:fs')
  const open = (): number => readdirSync('/proc/self/fd').length
  const run = (): void => {
    const { nic, path } = startNic()
    const client = new TestClient(nic, path)
    client.hello()
    const fds = Array.from({ length: 8 }, () => createEventFd())
    client.errno(
      Command.DEVICE_SET_IRQS,
      encodeIrqSet({ flags: 0x24, index: 2, start: 0, count: 8, data: HELLO.slice(0, 0) }),
      fds,
    )
    client.errno(Command.DEVICE_RESET, HELLO.slice(0, 0), fds)
    client.errno(Command.DMA_MAP, encodeDmaMap({ flags: 3, offset: 0, address: 1, size: 2 }), fds.slice(0, 1))
    fds.forEach(close)
    client.close()
    client.turn()
    nic.close()
  }
  run()
  await settle()
  const before = open()
  run()
  run()
  await settle()
  expect(open()).toBe(before)
})
