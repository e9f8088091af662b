import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DRIVERS } from '../../../src/driver/registry.ts'
import { closing } from '../../../src/linux/background-close.ts'
import { IxyError } from '../../../src/errors.ts'
import { drainEventFd } from '../../../src/linux/file.ts'
import { allocateShared, releaseBlock } from '../../../src/linux/hugepages.ts'
import { viewOf } from '../../../src/linux/mapping.ts'
import { pollOne, POLLIN } from '../../../src/linux/poll.ts'
import { openTransport } from '../../../src/pci/open.ts'
import type { Transport } from '../../../src/pci/transport.ts'
import { openVfioUser, type VfioUserOptions } from '../../../src/pci/vfio-user/client.ts'
import { Command } from '../../../src/pci/vfio-user/protocol.ts'
import type { Script } from './scripted-server.ts'
import { bundle } from './bundle.ts'
import { type Server, startServer } from './start-server.ts'

let directory: string
let path: string
let script: string
let server: Server | undefined

beforeAll(() => {
  script = bundle('scripted-server.ts')
})
afterAll(() => {
  rmSync(dirname(script), { recursive: true })
})
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ixy-vfio-user-'))
  path = join(directory, 'nic.sock')
})
afterEach(async () => {
  await server?.stop()
  server = undefined
  rmSync(directory, { recursive: true })
})

async function serve(behaviour: Omit<Script, 'path' | 'stop' | 'port'> = {}): Promise<Server> {
  server = await startServer(script, { path, ...behaviour })
  return server
}

const openFds = () => readdirSync('/proc/self/fd').length

/** Until the background has closed what it has to. */
async function settle(): Promise<void> {
  while (closing() > 0) await new Promise(setImmediate)
}

describe('a device behind a server', () => {
  let transport: Transport
  let events: Server['events']
  beforeEach(async () => {
    events = (await serve({ maxFds: 3 })).events
    transport = openTransport(
      { kind: 'vfio-user', socket: path },
      { known: DRIVERS, force: false, name: 'virtual:gen' },
    )
  })
  afterEach(() => {
    transport.close()
  })

  test('is reset and may do DMA once it is open, and no more after close', () => {
    expect(transport).toMatchObject({
      name: 'virtual:gen',
      access: 'vfio-user',
      needsPhysicalAddresses: false,
    })
    expect(
      events().filter((event) => event.event === 'command' && event.command === Command.DEVICE_RESET),
    ).toHaveLength(1)
    expect(transport.config.read32(0)).toBe(0x10fb8086)
    expect(transport.config.read8(1)).toBe(0x80)
    expect(transport.config.read16(4)).toBe(6)
    transport.close()
    transport.close()
    expect(() => transport.assertAlive()).toThrow(/was closed/)
  })

  test('keeps what is written to its registers, all 32 bits', () => {
    expect(transport.bar(0).bytes).toBe(512 * 1024)
    transport.bar(0).write32(0x5080, 0xfedcba98)
    transport.bar(0).write32(0x5084, 1)
    expect(transport.bar(0).read32(0x5080)).toBe(0xfedcba98)
    expect(transport.bar(0).read32(0x5084)).toBe(1)
  })

  test('reads several registers in the order asked for, wherever they are', () => {
    const values = [0x11, 0xfedcba98, 0x33, 0x44]
    const offsets = [0x5084, 0x5088, 0x5000, 0x5080]
    offsets.forEach((offset, i) => transport.bar(0).write32(offset, values[i]))
    const before = events.length
    expect(transport.bar(0).readAll32?.(offsets)).toEqual(values)
    expect(events.length - before).toBeLessThanOrEqual(3)
    expect(() => transport.bar(0).readAll32?.([0x5080, 2])).toThrow(RangeError)
    expect(transport.bar(0).read32(0x5080)).toBe(0x44)
  })

  test('shares the pages with the tail registers', () => {
    for (const [page, register] of [
      [0x1000, 0x1018],
      [0x6000, 0x6018],
    ]) {
      const doorbell = transport.doorbell(0, register)
      if (doorbell?.kind !== 'memory') throw new Error('not in memory')
      expect(doorbell.offset).toBe(register - page)
      const words = new Uint32Array(viewOf(doorbell.page, 4096))
      words[(register - page) / 4] = 511
      expect(transport.bar(0).read32(register)).toBe(511)
      transport.bar(0).write32(register, 7)
      expect(words[(register - page) / 4]).toBe(7)
    }
    // The next page is not shared: only messages get there.
    expect(transport.doorbell(0, 0x2018)).toBeNull()
    expect(() => transport.doorbell(0, 512 * 1024)).toThrow(RangeError)
  })

  test('sees the memory it is given', () => {
    const block = allocateShared(2 * 4096)
    new Uint8Array(viewOf(block.address, block.bytes)).set(Buffer.from('DMA!!'), 4096)
    events()
    transport.mapDma({
      address: block.address,
      iova: 2 ** 32 + 4096,
      bytes: 4096,
      fd: block.fd,
      fdOffset: 4096,
    })
    expect(events()).toContainEqual({
      event: 'map',
      map: { flags: 3, offset: 4096, address: 2 ** 32 + 4096, size: 4096 },
      text: 'DMA!!',
    })
    releaseBlock(block)
  })

  test('signals its interrupts through eventfds, as many in one message as it takes', () => {
    events()
    const fds = transport.enableInterrupts(4)
    expect(events().filter((event) => event.event === 'irqs')).toEqual([
      { event: 'irqs', start: 0, count: 3, fds: 3 },
      { event: 'irqs', start: 3, count: 1, fds: 1 },
    ])
    expect(fds.map((fd) => pollOne(fd, POLLIN, 0))).toEqual([0, POLLIN, 0, POLLIN])
    expect(drainEventFd(fds[3])).toBe(true)
    expect(() => transport.enableInterrupts(65)).toThrow(/has 64 MSI-X vectors, 65 are needed/)
  })

  test('is alive until its server ends, and then gone at once', async () => {
    transport.assertAlive()
    await server?.stop()
    server = undefined
    const gone = expect.objectContaining({ code: 'IXY_ERR_DEVICE_GONE' })
    expect(() => transport.assertAlive()).toThrow(gone)
    expect(() => transport.bar(0).read32(0)).toThrow(gone)
    const start = performance.now()
    transport.close()
    expect(performance.now() - start).toBeLessThan(1000)
  })
})

test('opening and closing leaves no descriptor behind, neither does failing', async () => {
  await serve({ vectors: 8 })
  openVfioUser(path, { known: DRIVERS, force: false }).close()
  await settle()
  const before = openFds()
  for (let round = 0; round < 3; round++) {
    const transport = openVfioUser(path, { known: DRIVERS, force: false })
    transport.enableInterrupts(8)
    transport.close()
  }
  await server?.stop()
  await serve({ fileBytes: 4096 })
  const short = openVfioUser(path, { known: DRIVERS, force: false })
  expect(() => short.doorbell(0, 0x6018)).toThrow()
  short.close()
  await server?.stop()
  server = undefined
  await settle()
  // The servers of this test live in this process too; what they had open is closed by now, but for one memfd each.
  expect(openFds()).toBeLessThanOrEqual(before + 1)
})

describe('no device', () => {
  const open = (options: Partial<VfioUserOptions> = {}) =>
    openVfioUser(path, { known: DRIVERS, force: false, ...options })

  test('without a server', () => {
    const notFound = expect.objectContaining({ code: 'IXY_ERR_DEVICE_NOT_FOUND' })
    expect(() => open()).toThrow(notFound)
    writeFileSync(path, 'not a socket')
    expect(() => open()).toThrow(notFound)
    expect(() => openVfioUser(join(path, 'below-a-file'), { known: DRIVERS, force: false })).toThrow(notFound)
  })

  test.each([
    ['something that is not PCI', { notPci: true }, /is not a PCI device/],
    [
      'something that is not a NIC',
      { classCode: 0x0108 },
      /is not a network card \(class 0108, id 8086:10fb\)/,
    ],
    ['an unknown NIC', { deviceId: 0x10b6 }, /doesn't know \(id 8086:10b6\).*--force/],
    ['another vendor’s NIC', { vendorId: 0x1af4 }, /doesn't know \(id 1af4:10fb\)/],
  ])('behind a server of %s', async (_name, behaviour, message) => {
    await serve(behaviour)
    expect(() => open()).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_UNSUPPORTED' }))
    expect(() => open()).toThrow(message)
  })

  test('an unknown NIC is taken with force', async () => {
    await serve({ deviceId: 0x10b6 })
    const transport = open({ force: true })
    expect(transport.config.read16(2)).toBe(0x10b6)
    transport.close()
  })

  test.each([Command.DEVICE_GET_REGION_INFO])(
    'a server that hangs up at command %i, for registers',
    async (command) => {
      await serve({ hangUp: command })
      const transport = open()
      expect(() => transport.bar(0)).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_GONE' }))
      transport.close()
    },
  )

  test('a server of another version', async () => {
    await serve({ major: 1 })
    expect(() => open()).toThrow(/speaks vfio-user 1\.\d, this is 0\.2/)
  })

  test('a server that never answers ends at the deadline', async () => {
    await serve({ ignore: Command.DEVICE_GET_INFO })
    const start = performance.now()
    expect(() => open({ deadline: 80 })).toThrow(/didn't answer DEVICE_GET_INFO within \d+(\.\d+)? s/)
    expect(performance.now() - start).toBeGreaterThanOrEqual(79)
  })

  test('a server that takes long: the user is told what is waited for', async () => {
    await serve({ ignore: Command.DEVICE_GET_INFO })
    const told: string[] = []
    const onSlow = (message: string): number => told.push(message)
    expect(() => open({ deadline: 80, name: 'virtual:gen', onSlow })).toThrow(/didn't answer/)
    expect(told).toEqual([
      "virtual:gen: its server hasn't answered DEVICE_GET_INFO yet, waiting up to 0.08 s; Ctrl-C twice ends at once",
    ])
  })

  test('a server that serves somebody else', async () => {
    await serve()
    const first = open()
    expect(() => open({ deadline: 50 })).toThrow(/seems to have another client.*end that client/)
    first.close()
  })

  test.each([Command.VERSION, Command.DEVICE_GET_INFO, Command.REGION_READ])(
    'a server that hangs up at command %i',
    async (command) => {
      await serve({ hangUp: command })
      expect(() => open()).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_GONE' }))
    },
  )

  test('a server that refuses', async () => {
    await serve({ refuse: Command.DEVICE_RESET })
    expect(() => open()).toThrow(/refused DEVICE_RESET \(errno 22\)/)
  })

  test.each([
    ['answers something else', { wrongId: Command.DEVICE_GET_INFO }],
    ['announces an impossible message', { huge: Command.DEVICE_GET_INFO }],
    ['describes its device in two bytes', { short: Command.DEVICE_GET_INFO }],
    ['reads two bytes', { short: Command.REGION_READ }],
  ])('a server that %s', async (_name, behaviour) => {
    await serve(behaviour)
    expect(() => open()).toThrow(expect.objectContaining({ code: 'IXY_ERR_PROTOCOL' }))
    expect(() => open()).toThrow(
      /breaks the vfio-user protocol \(.*\); start it again, or report it to its authors/,
    )
  })

  test('a server that floods its client with commands of its own', async () => {
    await serve({ interject: Command.DEVICE_GET_INFO, flood: 100_000 })
    expect(() => open()).toThrow(/breaks the vfio-user protocol \(more than 64 commands of its own/)
  })

  test('a server that answers each command just in time does not hold up its client for ever', async () => {
    await serve({ slow: 50 })
    const transport = open({ deadline: 1000 })
    const readAll = (): void => {
      for (let i = 0; i < 1000; i++) transport.bar(0).read32(0)
    }
    expect(readAll).toThrow(/is too slow: .* has spent 2(\.\d)? s waiting.*give it more of the CPU/)
    expect(readAll).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_GONE' }))
    transport.close()
  })

  test('a server that answers slowly now and then is waited for', async () => {
    await serve({ slow: 60 })
    const transport = open({ deadline: 1000 })
    // More than its patience in all, but time for other things in between.
    const now = performance.now.bind(performance)
    let between = 0
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + between)
    for (let i = 0; i < 40; i++) {
      transport.bar(0).read32(0)
      between += 100
    }
    clock.mockRestore()
    transport.close()
  })
})

describe('pages of registers', () => {
  const open = async (behaviour: Omit<Script, 'path' | 'stop' | 'port'>): Promise<Transport> => {
    await serve(behaviour)
    return openVfioUser(path, { known: DRIVERS, force: false })
  }
  let transport: Transport
  afterEach(() => transport.close())

  test('are as many as the server shares, wherever it does', async () => {
    // So many that the description of the region has to be asked for a second time.
    const areas = Array.from({ length: 500 }, (_, i) => ({ offset: 0x100 * i, size: 0x80 }))
    areas.push({ offset: 0x40000, size: 0x3000 })
    transport = await open({ areas })
    for (const register of [0x40010, 0x42ffc]) {
      const doorbell = transport.doorbell(0, register)
      if (doorbell?.kind !== 'memory') throw new Error('not in memory')
      new Uint32Array(viewOf(doorbell.page, 4096))[doorbell.offset >> 2] = register
      expect(transport.bar(0).read32(register)).toBe(register)
    }
    // Less than a page, and none at all.
    for (const register of [0x1018, 0x43000]) expect(transport.doorbell(0, register)).toBeNull()
  })

  test('of which there are none are no reason to refuse the device', async () => {
    transport = await open({ noMapping: true })
    expect(transport.doorbell(0, 0x1018)).toBeNull()
    transport.bar(0).write32(0x1018, 5)
    expect(transport.bar(0).read32(0x1018)).toBe(5)
  })

  test('that the server could take away again are refused', async () => {
    transport = await open({ unsealed: true })
    const refused = () => transport.doorbell(0, 0x1018)
    expect(refused).toThrow(expect.objectContaining({ code: 'IXY_ERR_DEVICE_UNSUPPORTED' }))
    expect(refused).toThrow(/could take away the memory.*F_SEAL_SHRINK/)
  })

  test('in a file that is too short are refused before anyone touches them', async () => {
    transport = await open({ fileBytes: 0x6000 })
    expect(() => transport.doorbell(0, 0x6018)).toThrow(expect.objectContaining({ code: 'IXY_ERR_PROTOCOL' }))
  })
})

test('I/O ports are read and written by message, with the width that is asked for', async () => {
  await serve({ ports: true })
  const transport = openVfioUser(path, { known: DRIVERS, force: false })
  expect(transport.config.read16(4)).toBe(0x6)
  const bar = transport.bar(2)
  expect(transport.config.read16(4)).toBe(0x7)
  expect([bar.space, bar.bytes]).toEqual(['io', 32])
  bar.write32(4, 0x44332211)
  bar.write16(6, 0xaabb)
  bar.write8(5, 0xcc)
  expect([bar.read8(4), bar.read8(5), bar.read16(6), bar.read32(4)]).toEqual([0x11, 0xcc, 0xaabb, 0xaabbcc11])
  for (const offset of [-1, 31, 32]) expect(() => bar.read16(offset)).toThrow(RangeError)
  expect(transport.doorbell(2, 16)).toBeNull()
  transport.close()
  expect(() => bar.read8(0)).toThrow(RangeError)
})

test('a BAR that is not there', async () => {
  await serve()
  const transport = openVfioUser(path, { known: DRIVERS, force: false })
  expect(() => transport.bar(2)).toThrow(/has no registers in BAR2/)
  transport.close()
})

test('descriptors that come with any reply are closed', async () => {
  await serve({ strayFds: true })
  const transport = openVfioUser(path, { known: DRIVERS, force: false })
  for (let i = 0; i < 10; i++) transport.bar(0).read32(0)
  await settle()
  const before = openFds()
  for (let i = 0; i < 500; i++) transport.bar(0).write32(0, transport.bar(0).read32(0))
  await settle()
  expect(openFds()).toBe(before)
  transport.close()
})

const SEED = Number(process.env['IXY_HOSTILE_SEED'] ?? 82599)
const SESSIONS = Number(process.env['IXY_HOSTILE_SESSIONS'] ?? 100)

test(
  `a server whose replies are damaged (seed ${SEED}) fails with a reason, and leaves nothing open`,
  async () => {
    const { events } = await serve({ hostile: SEED, vectors: 8 })
    const arena = allocateShared(2 ** 21)
    const outcomes = new Set<string>()
    let replies = 0
    let before = 0
    for (let session = 0; session < SESSIONS; session++) {
      try {
        const transport = openVfioUser(path, { known: DRIVERS, force: true })
        try {
          transport.mapDma({ ...arena, iova: 2 ** 32, fdOffset: 0 })
          transport.enableInterrupts(8)
          for (let register = 0; register < 64; register += 4)
            transport.bar(0).write32(register, transport.bar(0).read32(register))
          transport.doorbell(0, 0x1018)
          transport.assertAlive()
          outcomes.add('open')
        } finally {
          transport.close()
        }
      } catch (error) {
        if (!(error instanceof IxyError)) throw error
        outcomes.add(error.code)
      }
      await settle()
      replies += events().filter(({ event }) => event === 'command').length
      if (session === 0) before = openFds()
    }
    await server?.stop()
    server = undefined
    releaseBlock(arena)
    // The server's own, and the arena, are closed now.
    expect(openFds()).toBeLessThanOrEqual(before + 1)
    expect(replies).toBeGreaterThan(SESSIONS)
    expect(outcomes).toContain('IXY_ERR_PROTOCOL')
    expect(outcomes).not.toContain('IXY_ERR_INTERNAL')
  },
  30_000 + SESSIONS * 500,
)

test('a command of the server in between is refused politely, and the reply is found behind it', async () => {
  const { events } = await serve({ interject: Command.DEVICE_RESET })
  openVfioUser(path, { known: DRIVERS, force: false }).close()
  expect(events()).toContainEqual({ event: 'reply', error: 95 })
})

test('a virtual device must have been given a server', () => {
  expect(() => openTransport({ kind: 'virtual', wire: 'gen' }, { known: DRIVERS, force: false })).toThrow(
    /has no server yet/,
  )
})
