/** The server serves whatever says what a device says of itself: here one that has nothing of a network card. */
import { close, createEventFd, drainEventFd } from '../../../src/linux/file.ts'
import {
  Command,
  decodeIrqInfo,
  decodeRegionInfo,
  decodeVersion,
  encodeDmaUnmap,
  encodeIrqInfo,
  encodeIrqSet,
  encodeRegionInfoRequest,
  Irq,
  IrqSetFlag,
  Region,
} from '../../../src/pci/vfio-user/protocol.ts'
import type { Bytes } from '../../../src/packet/bytes.ts'
import { InterruptLines } from '../../../src/vnic/vfio-user/interrupt-lines.ts'
import type { ServedDevice, ServedRegion } from '../../../src/vnic/vfio-user/served-device.ts'
import { Server } from '../../../src/vnic/vfio-user/server.ts'
import { TestClient } from './client.ts'

const EINVAL = 22
const VECTORS = 3
const IDS = Uint8Array.of(0x36, 0x12, 0x01, 0x00)

/** Has one register, in BAR2: whoever writes an address there gets the answer to everything at that address. */
class Oracle implements ServedDevice {
  readonly doorbells = null
  readonly lines = new InterruptLines({
    vectors: VECTORS,
    pending: () => this.pending,
    intxDisabled: () => false,
    onUnmask: () => undefined,
  })
  readonly regions: ServedRegion[] = []
  asked = 0
  private readonly pending = new Uint8Array(1)
  private readonly parts = new Map<number, { bytes: Bytes; origin: number; size: number }>()

  constructor() {
    this.regions[Region.CONFIG] = {
      bytes: 256,
      read: (offset, target) => target.set(IDS.subarray(offset, offset + target.length)),
      write: () => undefined,
    }
    this.regions[2] = {
      bytes: 4,
      read: (_, target) => target.fill(this.asked),
      write: (_, source) => this.answer(new DataView(source.buffer, source.byteOffset).getUint32(0, true)),
    }
  }

  readonly memory = {
    add: (): Generator<void, void> => {
      throw new Error('this much memory is not for it')
    },
    addPart: (iova: number, size: number, _: boolean, bytes: Bytes, origin: number): void => {
      this.parts.set(iova, { bytes, origin, size })
    },
    addUnshared: (): void => undefined,
    remove: (iova: number): void => {
      this.parts.delete(iova)
    },
  }

  private answer(address: number): void {
    this.asked++
    for (const [iova, { bytes, origin, size }] of this.parts)
      if (address >= iova && address < iova + size) bytes.u8[origin + address - iova] = 42
    this.lines.signal(VECTORS - 1)
  }

  invalidate(): void {
    // It keeps nothing.
  }

  reset(): void {
    this.asked = 0
  }
}

let device: Oracle
let server: Server
let client: TestClient
const connections: boolean[] = []

beforeEach(() => {
  device = new Oracle()
  connections.length = 0
  server = new Server({
    device,
    limits: { mappings: 16, allowUnsealed: false },
    onClient: (connected) => connections.push(connected),
    onRefusal: () => undefined,
  })
  const path = `/tmp/ixy-ts-test-oracle-${process.pid}.sock`
  server.listen(path)
  client = new TestClient(server, path)
})

afterEach(() => {
  client.close()
  server.close()
})

test('its regions and interrupts are what it says they are', () => {
  client.hello()
  const size = (index: number): number =>
    decodeRegionInfo(
      client.request(Command.DEVICE_GET_REGION_INFO, encodeRegionInfoRequest(index, 64)).payload,
    ).size
  expect([Region.BAR0, 2, Region.CONFIG].map(size)).toEqual([0, 4, 256])
  const irq = client.request(
    Command.DEVICE_GET_IRQ_INFO,
    encodeIrqInfo({ flags: 0, index: Irq.MSIX, count: 0 }),
  )
  expect(decodeIrqInfo(irq.payload).count).toBe(VECTORS)
  expect(client.read(Region.CONFIG, 0)).toBe(0x11236)
  expect(client.write(Region.BAR0, 0, 1)).toBe(EINVAL)
  expect(client.write(2, 4, 1)).toBe(EINVAL)
})

test('it reaches the memory that its client shares, and rings its interrupts', () => {
  client.hello()
  const memory = new Uint8Array(client.share(0x10000, 0x1000))
  const fd = createEventFd()
  const flags = IrqSetFlag.DATA_EVENTFD | IrqSetFlag.ACTION_TRIGGER
  const set = { flags, index: Irq.MSIX, start: VECTORS - 1, count: 1, data: new Uint8Array(0) }
  expect(client.errno(Command.DEVICE_SET_IRQS, encodeIrqSet(set), [fd])).toBe(0)
  client.write(2, 0, 0x10007)
  expect([memory[7], drainEventFd(fd)]).toEqual([42, true])
  expect(client.errno(Command.DMA_UNMAP, encodeDmaUnmap({ flags: 0, address: 0x10000, size: 0x1000 }))).toBe(
    0,
  )
  client.write(2, 0, 0x10008)
  expect([memory[8], drainEventFd(fd)]).toEqual([0, true])
  close(fd)
})

test('who has no doorbells shares none; the next client finds it as new', () => {
  expect(decodeVersion(client.hello(true).payload).capabilities.ixy_shared_doorbells).toBeUndefined()
  client.write(2, 0, 0)
  expect(client.read(2, 0, 1)).toBe(1)
  client.close()
  client.turn()
  expect([device.asked, server.connected, connections]).toEqual([0, false, [true, false]])
})
