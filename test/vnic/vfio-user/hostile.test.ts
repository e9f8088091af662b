/** What a client does to block, kill or rob the process that serves it, and the clients after it. */
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { closing } from '../../../src/linux/background-close.ts'
import {
  close,
  createEventFd,
  createMemfd,
  createSealedMemfd,
  drainEventFd,
  ftruncate,
  pread,
  pwrite,
  write,
} from '../../../src/linux/file.ts'
import { declare } from '../../../src/linux/libc.ts'
import { mmap, munmap, viewOf } from '../../../src/linux/mapping.ts'
import {
  Command,
  decodeRegionInfo,
  DMA_UNMAP_ALL,
  encodeDmaMap,
  encodeDmaUnmap,
  encodeIrqSet,
  encodeRegionAccess,
  encodeRegionInfoRequest,
  encodeRegionWriteMulti,
  encodeVersion,
  HEADER_BYTES,
  Irq,
  IrqSetFlag,
  MessageFlag,
  Region,
} from '../../../src/pci/vfio-user/protocol.ts'
import type { VirtualNic } from '../../../src/vnic/nic.ts'
import { startNic, TestClient } from './client.ts'

/** Name the messages of the long test, and say how many they are. */
const SEED = Number(process.env['IXY_HOSTILE_SEED'] ?? 82599)
const MESSAGES = Number(process.env['IXY_HOSTILE_MESSAGES'] ?? 5000)
// The campaign's hundred thousand take minutes.
jest.setTimeout(Math.max(120_000, MESSAGES * 20))
const EPERM = 1
const ENOMEM = 12
const EINVAL = 22
const ENOSPC = 28
const NOTHING = new Uint8Array(0)
const ARM = IrqSetFlag.DATA_EVENTFD | IrqSetFlag.ACTION_TRIGGER

const libcEventfd = declare<(value: number, flags: number) => number>(
  'int eventfd(unsigned int value, int flags)',
)
const libcPipe = declare<(fds: Int32Array) => number>('int pipe(void *fds)')

let nic: VirtualNic
let path: string
let refusals: string[]
let client: TestClient

function start(options: Parameters<typeof startNic>[0] = {}): void {
  refusals = []
  ;({ nic, path } = startNic({ onRefusal: (reason) => refusals.push(reason), ...options }))
  client = new TestClient(nic, path)
  client.hello()
}

beforeEach(() => start())
afterEach(() => {
  jest.restoreAllMocks()
  client.close()
  nic.close()
})

const map = (address: number, size: number, fd: number, offset = 0): number =>
  client.errno(Command.DMA_MAP, encodeDmaMap({ flags: 3, offset, address, size }), [fd])

describe('interrupts', () => {
  const set = (fds: readonly number[]): number =>
    client.errno(
      Command.DEVICE_SET_IRQS,
      encodeIrqSet({ flags: ARM, index: Irq.MSIX, start: 0, count: fds.length, data: NOTHING }),
      fds,
    )

  function ring(): void {
    client.write(Region.BAR0, offsetOf(REG.GPIE), REG.GPIE.fields.MULTIPLE_MSIX.mask)
    client.write(Region.BAR0, offsetOf(REG.EIMS), 0xffff)
    client.write(Region.BAR0, offsetOf(REG.EICS), 1)
  }

  test('an eventfd that is full and blocks holds nobody up', async () => {
    const fd = libcEventfd(0, 0)
    expect(set([fd])).toBe(0)
    write(fd, BigUint64Array.of(0xffff_ffff_ffff_fffen))
    // If it did, this would set it free after a while.
    const rescue = new Worker(
      `const wait = new Int32Array(new SharedArrayBuffer(4))
      if (Atomics.wait(wait, 0, 0, 3000)) require('fs').readSync(${fd}, Buffer.alloc(8))`,
      { eval: true },
    )
    const begin = performance.now()
    ring()
    expect(performance.now() - begin).toBeLessThan(2500)
    await rescue.terminate()
    expect(drainEventFd(fd)).toBe(true)
    ring()
    expect(drainEventFd(fd)).toBe(true)
    close(fd)
  })

  test('nothing but an eventfd is one', () => {
    const pipe = new Int32Array(2)
    libcPipe(pipe)
    const eventfd = createEventFd()
    const others = [pipe[1], createMemfd('ixy-ts-test', 8), openSync('/dev/null', 'w'), client.socket.fd]
    for (const fd of others) expect(set([eventfd, fd])).toBe(EINVAL)
    expect(refusals).toEqual(['DEVICE_SET_IRQS refused: an interrupt that is not an eventfd'])
    ring()
    expect(drainEventFd(eventfd)).toBe(false)
    ;[eventfd, pipe[0], ...others.slice(0, 3)].forEach(close)
  })
})

describe('memory that can be taken away', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync('/dev/shm/ixy-ts-test-')
  })
  afterEach(() => {
    rmSync(directory, { recursive: true })
  })

  function file(mode: number, folder = directory): number {
    const name = join(folder, `memory-${mode}`)
    const fd = openSync(name, 'w+', mode)
    ftruncate(fd, 8192)
    return fd
  }

  test('a memfd must be sealed', () => {
    const fd = createMemfd('ixy-ts-test', 8192)
    expect(map(0x1000, 4096, fd)).toBe(EPERM)
    expect(map(0x1000, 4096, fd)).toBe(EPERM)
    expect(refusals).toEqual([
      expect.stringMatching(/^DMA_MAP refused: .*truncated.*seal.*--allow-unsealed$/),
    ])
    // Whoever truncates it now does no harm.
    ftruncate(fd, 0)
    close(fd)
    const sealed = createSealedMemfd('ixy-ts-test', 8192)
    expect(map(0x1000, 4096, sealed)).toBe(0)
    expect(() => ftruncate(sealed, 0)).toThrow(/EPERM/)
    close(sealed)
  })

  test('unless the user wants it so', () => {
    client.close()
    nic.close()
    start({ allowUnsealed: true })
    const fd = createMemfd('ixy-ts-test', 8192)
    expect(map(0x1000, 4096, fd)).toBe(0)
    close(fd)
  })

  test('a file in memory is taken from its owner, one that others may write to is not, nor one on a disk', () => {
    const umask = process.umask(0)
    const [own, open, disk] = [file(0o600), file(0o622), file(0o600, mkdtempSync(join(__dirname, 'tmp-')))]
    process.umask(umask)
    expect(map(0x1000, 4096, own)).toBe(0)
    expect(map(0x2000, 4096, open)).toBe(EPERM)
    expect(map(0x2000, 4096, disk)).toBe(EPERM)
    expect(refusals).toEqual([
      expect.stringMatching(/others than this user can truncate the file/),
      expect.stringMatching(/must be a memfd, or a file in tmpfs/),
    ])
    rmSync(join(readlinkSync(`/proc/self/fd/${disk}`), '..'), { recursive: true })
    ;[own, open, disk].forEach((fd) => closeSync(fd))
  })
})

describe('sessions are strangers', () => {
  function doorbells(): { fd: number; page: bigint; words: Uint32Array } {
    const request = encodeRegionInfoRequest(Region.BAR0, 4096)
    const { fds, payload } = client.request(Command.DEVICE_GET_REGION_INFO, request)
    expect(decodeRegionInfo(payload).areas?.length).toBe(3)
    const page = mmap(4096, { fd: fds[0], offset: 0x1000 })
    return { fd: fds[0], page, words: new Uint32Array(viewOf(page, 4096)) }
  }

  test('what a client had mapped is dead for it once it has gone, and only the doorbells were ever there', () => {
    client.close()
    client.turn()
    client = new TestClient(nic, path)
    client.hello(true)
    const old = doorbells()
    const rdt = (0x1018 - 0x1000) / 4
    const rdbal = 0
    client.write(Region.BAR0, offsetOf(REG.RDT), 7)
    expect(old.words[rdt]).toBe(7)
    // Other registers are not in the file.
    client.write(Region.BAR0, offsetOf(REG.RAL), 0x12345678)
    const ral = new Uint8Array(4)
    pread(old.fd, ral, offsetOf(REG.RAL))
    expect([...ral]).toEqual([0, 0, 0, 0])
    pwrite(old.fd, Uint8Array.of(1, 2, 3, 4), offsetOf(REG.RAL))
    expect(client.read(Region.BAR0, offsetOf(REG.RAL))).toBe(0x12345678)

    client.close()
    client.turn()
    client = new TestClient(nic, path)
    client.hello(true)
    client.write(Region.BAR0, offsetOf(REG.RDBAL), 0x10000)
    client.write(Region.BAR0, offsetOf(REG.RDT), 9)
    old.words[rdbal] = 0x666000
    old.words[rdt] = 66
    expect(client.read(Region.BAR0, offsetOf(REG.RDBAL))).toBe(0x10000)
    expect(client.read(Region.BAR0, offsetOf(REG.RDT))).toBe(9)
    const fresh = doorbells()
    expect(fresh.words[rdt]).toBe(9)
    expect(old.words[rdt]).toBe(66)
    for (const { fd, page } of [old, fresh]) {
      munmap(page, 4096)
      close(fd)
    }
  })
})

describe('nobody waits for a client', () => {
  /** Polls the NIC until `done`; returns how often it had a turn. Another NIC of the process has one after each. */
  async function turns(done: () => boolean): Promise<number> {
    const deadline = performance.now() + 60_000
    let count = 0
    while (!done()) {
      if (performance.now() > deadline) throw new Error('not done in time')
      client.turn(1)
      await new Promise(setImmediate)
      count++
    }
    return count
  }

  const reaches = (address: number, size = 4096): boolean => nic.device.dma.find(address, size) !== null
  const reply = new Uint8Array(HEADER_BYTES)
  const answered = (): boolean => client.socket.receive(reply) !== null

  test('a message with thousands of resets is done in many turns', async () => {
    const reset = {
      region: Region.BAR0,
      offset: offsetOf(REG.CTRL),
      count: 4,
      data: Uint8Array.of(0, 0, 0, 4),
    }
    const writes = Array.from({ length: 8000 }, () => reset)
    const message = encodeRegionWriteMulti(writes)
    client.socket.send(NOTHING)
    let sent = false
    // The message is larger than the socket's buffer: it is sent while the NIC reads.
    const header = client.header(Command.REGION_WRITE_MULTI, message.length)
    const bytes = Buffer.concat([header, message])
    let at = 0
    const total = await turns(() => {
      while (at < bytes.length) {
        const part = client.socket.sendSome(bytes.subarray(at))
        if (part === 0) return false
        at += part
      }
      sent = true
      return answered()
    })
    expect(sent).toBe(true)
    expect(total).toBeGreaterThan(100)
  })

  test('a client that does not read is not waited for, and gets all its answers when it does', async () => {
    const request = encodeRegionAccess({ region: Region.BAR0, offset: 0, count: 4096, data: NOTHING })
    const asked = 200
    for (let i = 0; i < asked; i++) client.post(Command.REGION_READ, request)
    const begin = performance.now()
    client.turn(1000)
    expect(performance.now() - begin).toBeLessThan(10_000)
    // It isn't listened to: a loop would not even wake for it.
    expect(nic.fds()).not.toContain(client.socket.fd)
    expect(nic.nextEvent(0)).toBeLessThan(Infinity)
    const bytes = new Uint8Array((HEADER_BYTES + 16 + 4096) * asked)
    let got = 0
    await turns(() => {
      const part = client.socket.receive(bytes.subarray(got))
      got += part?.bytes ?? 0
      return got === bytes.length
    })
    expect(client.read(Region.CONFIG, 0)).toBe(0x10fb8086)
  })

  test('and is cut off if it never does', () => {
    const request = encodeRegionAccess({ region: Region.BAR0, offset: 0, count: 4096, data: NOTHING })
    for (let i = 0; i < 200; i++) client.post(Command.REGION_READ, request)
    client.turn(100)
    expect(nic.connected).toBe(true)
    const now = performance.now()
    jest.spyOn(performance, 'now').mockImplementation(() => now + 6000)
    client.turn(100)
    expect(nic.connected).toBe(false)
  })

  test.each([
    ['nothing', NOTHING],
    ['half a header', new Uint8Array(8)],
    ['replies to nothing', null],
  ])('a client that says %s does not keep others out', (_name, greeting) => {
    const silent = new TestClient(nic, path)
    client.close()
    if (greeting === null) silent.post(Command.VERSION, NOTHING, [], MessageFlag.REPLY)
    else if (greeting.length > 0) silent.sendRaw(greeting)
    silent.turn()
    expect(nic.connected).toBe(true)
    const waiting = new TestClient(nic, path)
    waiting.post(Command.VERSION, encodeVersion({ major: 0, minor: 1, capabilities: {} }))
    expect(waiting.answer()).toBeNull()
    const now = performance.now()
    jest.spyOn(performance, 'now').mockImplementation(() => now + 4000)
    expect(waiting.answer()?.header.command).toBe(Command.VERSION)
    silent.close()
    waiting.close()
  })

  /** As many pages as a client may have, each by itself: every second of an IOMMU. */
  function mapAll(): number {
    const fd = createSealedMemfd('ixy-ts-test', 4096)
    const message = (i: number): Uint8Array =>
      encodeDmaMap({ flags: 3, offset: 0, address: 2 ** 32 + i * 8192, size: 4096 })
    let mapped = 0
    while (client.errno(Command.DMA_MAP, message(mapped), [fd]) === 0) mapped++
    close(fd)
    return mapped
  }

  test('thousands of mappings are given back in many turns, and nothing is left', async () => {
    client.close()
    nic.close()
    start({ maxMappings: 5000 })
    expect(mapAll()).toBe(5000)
    expect(refusals).toEqual([expect.stringMatching(/more than 5000 DMA mappings/)])
    client.post(Command.DMA_UNMAP, encodeDmaUnmap({ flags: DMA_UNMAP_ALL, address: 0, size: 0 }))
    expect(await turns(answered)).toBeGreaterThan(5)
    expect(reaches(2 ** 32)).toBe(false)
    client.socket.receive(new Uint8Array(100))
    expect(mapAll()).toBe(5000)

    // The same when the client just goes: the device lets go at once, the next client waits for the rest.
    client.close()
    const next = new TestClient(nic, path)
    next.post(Command.VERSION, encodeVersion({ major: 0, minor: 1, capabilities: {} }))
    client.turn(1)
    expect([nic.connected, reaches(2 ** 32)]).toEqual([false, false])
    expect(await turns(() => next.socket.receive(reply) !== null)).toBeGreaterThan(5)
    next.close()
  })

  test('a huge sparse file is refused with the reason, and a large one taken step by step', async () => {
    const fd = createSealedMemfd('ixy-ts-test', 2 ** 42)
    expect(map(0, 2 ** 42, fd)).toBe(ENOMEM)
    expect(refusals).toEqual([expect.stringMatching(/more than 1 TiB of memory/)])
    const size = 2 ** 34
    const message = encodeDmaMap({ flags: 3, offset: 0, address: 2 ** 40, size })
    client.post(Command.DMA_MAP, message, [fd])
    expect(await turns(answered)).toBeGreaterThan(10)
    // Also where two views of it meet.
    for (const at of [0, 2 ** 30 - 64, 2 ** 33 - 1024, size - 4096]) expect(reaches(2 ** 40 + at)).toBe(true)
    expect(reaches(2 ** 40 + size - 4095)).toBe(false)
    // A client that goes in the middle of it leaves nothing.
    client.post(Command.DMA_MAP, encodeDmaMap({ flags: 3, offset: 0, address: 2 ** 41, size }), [fd])
    client.turn(1)
    expect(reaches(2 ** 41)).toBe(true)
    client.close()
    client.turn(3)
    expect([reaches(2 ** 40), reaches(2 ** 41)]).toEqual([false, false])
    close(fd)
  })

  test('more files than any machine has for its memory are refused', () => {
    expect(client.errno(Command.DMA_MAP, encodeDmaMap({ flags: 1, offset: 0, address: 0, size: 4096 }))).toBe(
      0,
    )
    const fds = Array.from({ length: 257 }, () => createSealedMemfd('ixy-ts-test', 4096))
    const results = fds.map((fd, i) => map(4096 + i * 4096, 4096, fd))
    expect(results.filter((errno) => errno === 0).length).toBe(256)
    expect(results[256]).toBe(ENOSPC)
    fds.forEach(close)
  })
})

test('all addresses up to the last one can be taken back', () => {
  const fd = createSealedMemfd('ixy-ts-test', 8192)
  expect(map(0x1000, 4096, fd)).toBe(0)
  expect(map(0xfef00000, 4096, fd)).toBe(0)
  expect(map(2 ** 51, 4096, fd)).toBe(0)
  // [0xfef00000, 2^64), as QEMU with an IOMMU has it at a reset.
  const unmap = encodeDmaUnmap({ flags: 0, address: 0xfef00000, size: 0 })
  new DataView(unmap.buffer).setBigUint64(16, 2n ** 64n - 0xfef00000n, true)
  const { header, payload } = client.request(Command.DMA_UNMAP, unmap)
  expect(header.error).toBe(0)
  expect(payload).toEqual(unmap)
  const reaches = (address: number): boolean => nic.device.dma.find(address, 64) !== null
  expect([0x1000, 0xfef00000, 2 ** 51].map(reaches)).toEqual([true, false, false])
  expect(map(0xfef00000, 4096, fd)).toBe(0)
  close(fd)
})

describe('descriptors', () => {
  const open = (): number => readdirSync('/proc/self/fd').length

  /** Until the background has closed what it has to. */
  async function settle(): Promise<void> {
    while (closing() > 0) await new Promise(setImmediate)
  }

  test(`of ${MESSAGES} hostile messages none stays open (seed ${SEED})`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ixy-ts-test-'))
    writeFileSync(join(directory, 'file'), 'x')
    const pipe = new Int32Array(2)
    libcPipe(pipe)
    const kinds = [
      createMemfd('ixy-ts-test', 65536),
      createSealedMemfd('ixy-ts-test', 65536),
      pipe[0],
      pipe[1],
      client.socket.fd,
      createEventFd(),
      // O_PATH: nothing can be done with it, not even fcntl(F_SETFL).
      openSync(join(directory, 'file'), 0o10000000),
      openSync(directory, 'r'),
      openSync(join(directory, 'file'), 'r+'),
    ]
    const number = fc.oneof(fc.nat(70), fc.constantFrom(0, 1, 16, 64, 0xffffffff))
    const address = fc.nat(16).map((page) => page * 4096)
    const payloads = fc.oneof(
      fc.record({ flags: fc.nat(3), offset: address, address, size: address }).map(encodeDmaMap),
      fc.record({ flags: fc.constantFrom(0, 2), address, size: address }).map(encodeDmaUnmap),
      fc
        .record({
          flags: fc.constantFrom<number>(ARM, ARM, 0x21, 0x22),
          index: fc.nat(5),
          start: number,
          count: number,
        })
        .map((set) => encodeIrqSet({ ...set, data: NOTHING })),
      fc.uint8Array({ maxLength: 40 }),
    )
    const messages = fc.sample(
      fc.record({
        command: fc.oneof(fc.constantFrom(2, 2, 3, 8, 8, 8), fc.nat(16)),
        payload: payloads,
        fds: fc.oneof(
          fc.array(fc.nat(kinds.length - 1), { maxLength: 4 }),
          fc.array(fc.nat(kinds.length - 1), { maxLength: 70, size: 'max' }),
          fc.nat(70).map((count) => Array.from({ length: count }, () => 5)),
        ),
        flags: fc.constantFrom(0, 0, 0, MessageFlag.NO_REPLY, MessageFlag.REPLY),
      }),
      { numRuns: MESSAGES, seed: SEED },
    )
    await settle()
    /** What the server may keep: an eventfd for each vector, and the files of what is mapped. */
    const kept = 64 + 4 + 4
    const least = open()
    let connections = 0
    for (const { command, payload, fds, flags } of messages) {
      if (!nic.connected) {
        client.close()
        // Whoever comes next waits for what the last one has left.
        await settle()
        client = new TestClient(nic, path)
        client.hello()
        connections++
      }
      client.post(
        command,
        payload,
        fds.map((kind) => kinds[kind]),
        flags,
      )
      for (let answer = client.answer(); answer !== null; answer = client.answer()) answer.fds.forEach(close)
      // What is closed in the background right now is not kept; with too much of it the server doesn't listen.
      await (closing() > 32 ? settle() : new Promise(setImmediate))
      if (open() - closing() > least + kept) throw new Error(`${open()} descriptors, ${least} at first`)
    }
    client.close()
    client.turn()
    await settle()
    // The client's own end is closed as well, the ringer has been made.
    expect(open()).toBeLessThanOrEqual(least)
    expect(connections).toBeGreaterThan(0)
    for (const fd of kinds.filter((_, i) => i !== 4)) close(fd)
    rmSync(directory, { recursive: true })
  })
})
