import { existsSync, readdirSync } from 'node:fs'
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import {
  close,
  createEventFd,
  createSealedMemfd,
  drainEventFd,
  ftruncate,
  pwrite,
} from '../../../src/linux/file.ts'
import { LinuxError } from '../../../src/linux/libc.ts'
import { mmap, munmap, viewOf } from '../../../src/linux/mapping.ts'
import { receiveBytes } from '../../../src/linux/scm.ts'
import {
  Command,
  decodeDeviceInfo,
  decodeIrqInfo,
  decodeRegionInfo,
  decodeVersion,
  DeviceFlag,
  DMA_UNMAP_ALL,
  encodeDeviceInfo,
  encodeDmaMap,
  encodeDmaUnmap,
  encodeIrqInfo,
  encodeIrqSet,
  encodeRegionAccess,
  encodeRegionInfoRequest,
  encodeRegionWriteMulti,
  encodeVersion,
  Irq,
  IrqSetFlag,
  MessageFlag,
  Region,
  RegionFlag,
} from '../../../src/pci/vfio-user/protocol.ts'
import { RxStatus } from '../../../src/vnic/model/rx-queue.ts'
import type { VirtualNic } from '../../../src/vnic/nic.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { frameOf, type TestWire } from '../model/host.ts'
import { udp4 } from '../model/packets.ts'
import { startNic, TestClient } from './client.ts'

const EIO = 5
const EINVAL = 22
const NOTHING = new Uint8Array(0)

let nic: VirtualNic
let wire: TestWire
let path: string
let client: TestClient

beforeEach(() => {
  ;({ nic, wire, path } = startNic())
  client = new TestClient(nic, path)
})

afterEach(() => {
  client.close()
  nic.close()
  expect(existsSync(path)).toBe(false)
})

describe('the first message', () => {
  test('agrees on version and capabilities', () => {
    const { major, minor, capabilities } = decodeVersion(client.hello().payload)
    expect([major, minor]).toEqual([0, 1])
    expect(capabilities).toMatchObject({ pgsizes: 4096, write_multiple: true })
    expect(capabilities.max_msg_fds).toBeLessThanOrEqual(16)
    expect(capabilities.ixy_shared_doorbells).toBeUndefined()
  })

  test('of another major version is refused and the connection closed', () => {
    const version = encodeVersion({ major: 1, minor: 0, capabilities: {} })
    expect(client.errno(Command.VERSION, version)).toBe(95)
    client.turn()
    expect(nic.connected).toBe(false)
  })

  test('must be VERSION', () => {
    expect(client.errno(Command.DEVICE_RESET)).toBe(EINVAL)
    expect(client.socket.peerHasClosed()).toBe(true)
  })
})

describe('the device', () => {
  beforeEach(() => {
    client.hello()
  })

  test('is a PCI device that can be reset', () => {
    const request = encodeDeviceInfo({ flags: 0, regions: 0, irqs: 0 })
    const info = decodeDeviceInfo(client.request(Command.DEVICE_GET_INFO, request).payload)
    expect(info).toEqual({ flags: DeviceFlag.PCI | DeviceFlag.RESET, regions: 9, irqs: 5 })
    expect(client.errno(Command.DEVICE_RESET)).toBe(0)
  })

  test('has the regions of an 82599 and no mapping without the capability', () => {
    const info = (index: number): { size: number; flags: number } =>
      decodeRegionInfo(
        client.request(Command.DEVICE_GET_REGION_INFO, encodeRegionInfoRequest(index, 32)).payload,
      )
    expect(info(Region.BAR0)).toMatchObject({ size: 512 * 1024, flags: RegionFlag.READ | RegionFlag.WRITE })
    expect(info(Region.BAR4).size).toBe(16 * 1024)
    expect(info(Region.CONFIG).size).toBe(4096)
    expect(info(Region.ROM)).toMatchObject({ size: 0, flags: 0 })
    expect(client.errno(Command.DEVICE_GET_REGION_INFO, encodeRegionInfoRequest(9, 32))).toBe(EINVAL)
  })

  test('has an 82599 configuration space', () => {
    expect(client.read(Region.CONFIG, 0)).toBe(0x10fb8086)
    expect(client.read(Region.CONFIG, 0x0b, 1)).toBe(0x02)
    // What Linux's driver looks for at fixed places: MSI-X vectors, pending transactions, link width and speed.
    expect(client.read(Region.CONFIG, 0x72, 2) & 0x7ff).toBe(63)
    expect(client.read(Region.CONFIG, 0xaa, 2) & 0x20).toBe(0)
    expect(client.read(Region.CONFIG, 0xb2, 2) & 0x3ff).toBe(0x82)
    let capability = client.read(Region.CONFIG, 0x34, 1)
    const list: number[] = []
    while (capability !== 0 && list.length < 10) {
      list.push(client.read(Region.CONFIG, capability, 1))
      capability = client.read(Region.CONFIG, capability + 1, 1)
    }
    expect(list).toEqual([0x01, 0x05, 0x11, 0x10])
  })

  test('keeps read-only bits of the configuration, and sizes its BARs', () => {
    client.write(Region.CONFIG, 0, 0)
    expect(client.read(Region.CONFIG, 0)).toBe(0x10fb8086)
    client.write(Region.CONFIG, 0x10, 0xffffffff)
    expect(client.read(Region.CONFIG, 0x10)).toBe(0xfff80004)
    client.write(Region.CONFIG, 4, 0x0406, 2)
    expect(client.read(Region.CONFIG, 4, 2)).toBe(0x0406)
  })

  test('registers are read and written by message, in words or parts of them', () => {
    const ral = offsetOf(REG.RAL)
    expect(client.read(Region.BAR0, ral)).toBe(0x12005452)
    expect(client.read(Region.BAR0, ral + 1, 1)).toBe(0x54)
    expect(client.read(Region.BAR0, ral, 6)).toBe(0x563412005452)
    client.write(Region.BAR0, ral, 0xcafe0123)
    expect(client.read(Region.BAR0, ral)).toBe(0xcafe0123)
    expect(client.read(Region.BAR0, 0x5400)).toBe(0xcafe0123)
    expect(client.write(Region.BAR0, 512 * 1024, 0)).toBe(EINVAL)
    expect(client.write(Region.BAR2, 0, 0)).toBe(EINVAL)
  })

  test('a posted write is done and not answered', () => {
    const data = Uint8Array.of(1, 2, 3, 4)
    const access = encodeRegionAccess({ region: Region.BAR0, offset: offsetOf(REG.RAL), count: 4, data })
    client.post(Command.REGION_WRITE, access, [], MessageFlag.NO_REPLY)
    client.post(Command.REGION_WRITE, NOTHING, [], MessageFlag.NO_REPLY)
    expect(client.answer()).toBeNull()
    expect(client.read(Region.BAR0, offsetOf(REG.RAL))).toBe(0x04030201)
  })

  test('several writes in one message are done in order', () => {
    const one = (value: number): { region: number; offset: number; count: number; data: Uint8Array } => ({
      region: Region.BAR0,
      offset: offsetOf(REG.RAL),
      count: 4,
      data: Uint8Array.of(value, 0, 0, 0),
    })
    expect(client.errno(Command.REGION_WRITE_MULTI, encodeRegionWriteMulti([one(1), one(2), one(3)]))).toBe(0)
    expect(client.read(Region.BAR0, offsetOf(REG.RAL))).toBe(3)
  })

  test('a function level reset through the configuration space resets the registers', () => {
    client.write(Region.BAR0, offsetOf(REG.RAL), 1)
    client.write(Region.CONFIG, 4, 6, 2)
    client.write(Region.CONFIG, 0xa8, 0x8000, 2)
    expect(client.read(Region.BAR0, offsetOf(REG.RAL))).toBe(0x12005452)
    expect(client.read(Region.CONFIG, 4, 2)).toBe(0)
    expect(client.read(Region.CONFIG, 0xa8, 2) & 0x8000).toBe(0)
  })
})

describe('shared doorbells', () => {
  test('the pages with the tails, and the one for taking turns, come as sparse areas of a file, also when asked with little room first', () => {
    expect(decodeVersion(client.hello(true).payload).capabilities.ixy_shared_doorbells).toBe(true)
    const short = client.request(Command.DEVICE_GET_REGION_INFO, encodeRegionInfoRequest(Region.BAR0, 32))
    const info = decodeRegionInfo(short.payload)
    expect(short.fds.length).toBe(1)
    expect(info.flags & (RegionFlag.MMAP | RegionFlag.CAPS)).toBe(RegionFlag.MMAP | RegionFlag.CAPS)
    expect(new DataView(short.payload.buffer).getUint32(12, true)).toBe(32)
    const full = client.request(
      Command.DEVICE_GET_REGION_INFO,
      encodeRegionInfoRequest(Region.BAR0, info.argsz),
    )
    expect(decodeRegionInfo(full.payload).areas).toEqual([
      { offset: 0x1000, size: 0x1000 },
      { offset: 0x6000, size: 0x1000 },
      { offset: 0x20000, size: 0x1000 },
    ])
    // What is written there is the tail: a message reads it back.
    const [fd] = full.fds
    const page = mmap(4096, { fd, offset: 0x6000 })
    new Uint32Array(viewOf(page, 4096))[0x18 / 4] = 77
    expect(client.read(Region.BAR0, offsetOf(REG.TDT))).toBe(77)
    client.write(Region.BAR0, offsetOf(REG.TDT), 78)
    expect(new Uint32Array(viewOf(page, 4096))[0x18 / 4]).toBe(78)
    munmap(page, 4096)
    // Nobody can take the file away from under the server.
    expect(() => ftruncate(fd, 0)).toThrow(/EPERM/)
    ;[...short.fds, ...full.fds].forEach(close)
  })
})

describe('memory', () => {
  const map = (address: number, size: number, offset = 0, flags = 3): Uint8Array =>
    encodeDmaMap({ flags, offset, address, size })
  let fd: number

  beforeEach(() => {
    client.hello()
    fd = createSealedMemfd('ixy-ts-test', 65536)
  })
  afterEach(() => {
    close(fd)
  })

  test('what does not add up is refused', () => {
    expect(client.errno(Command.DMA_MAP, map(0x1000, 65536), [fd])).toBe(0)
    expect(client.errno(Command.DMA_MAP, map(0x2000, 4096), [fd])).toBe(17)
    expect(client.errno(Command.DMA_MAP, map(0x100000, 65536, 4096), [fd])).toBe(EINVAL)
    expect(client.errno(Command.DMA_MAP, map(0x100000, 0), [fd])).toBe(EINVAL)
    expect(client.errno(Command.DMA_MAP, map(0x100004, 4096), [fd])).toBe(EINVAL)
    expect(client.errno(Command.DMA_MAP, map(0x100000, 4096, 4), [fd])).toBe(EINVAL)
    expect(client.errno(Command.DMA_MAP, map(2 ** 52, 4096), [fd])).toBe(EINVAL)
    expect(client.errno(Command.DMA_MAP, map(0x100000, 4096), [fd, fd])).toBe(EINVAL)
    const unmap = (address: number, size: number, flags = 0): number =>
      client.errno(Command.DMA_UNMAP, encodeDmaUnmap({ flags, address, size }))
    expect(unmap(0x1000, 4096)).toBe(EINVAL)
    expect(unmap(0x1000, 65536)).toBe(0)
    expect(unmap(0x1000, 65536)).toBe(0)
    expect(client.errno(Command.DMA_MAP, map(0x2000, 4096), [fd])).toBe(0)
    expect(unmap(0, 0, DMA_UNMAP_ALL)).toBe(0)
    expect(client.errno(Command.DMA_MAP, map(0x2000, 4096), [fd])).toBe(0)
  })

  test('pages of an IOMMU, each from its own place in the file, are one stretch until one goes', () => {
    const first = 2 ** 32
    const second = first + 4096
    const { dma } = nic.device
    pwrite(fd, Buffer.from('left'), 8192 + 4092)
    pwrite(fd, Buffer.from('right'), 0)
    expect(client.errno(Command.DMA_MAP, map(second, 4096, 0), [fd])).toBe(0)
    expect(client.errno(Command.DMA_MAP, map(first, 4096, 8192), [fd])).toBe(0)
    const region = dma.access(first, 8192, true, 'test')
    if (region === null) throw new Error('the two pages are no region')
    const at = region.origin + second - region.iova
    expect(Buffer.from(region.bytes.u8.subarray(at - 4, at + 5)).toString()).toBe('leftright')
    const unmap = encodeDmaUnmap({ flags: 0, address: first, size: 4096 })
    expect(client.errno(Command.DMA_UNMAP, unmap)).toBe(0)
    expect(dma.find(first, 8192)).toBeNull()
    expect(dma.find(first, 64)).toBeNull()
    const rest = dma.find(second, 4096)
    if (rest === null) throw new Error('the second page is gone, too')
    const { bytes, origin } = rest
    expect(Buffer.from(bytes.u8.subarray(origin, origin + 5)).toString()).toBe('right')
    // A page that can only be read is a stretch of its own.
    expect(client.errno(Command.DMA_MAP, map(first, 4096, 8192, 1), [fd])).toBe(0)
    expect(dma.find(first, 8192)).toBeNull()
  })

  test('memory without a file is noted, and named when the device is sent there', () => {
    expect(client.errno(Command.DMA_MAP, map(0xc0000, 0x20000, 0, 1))).toBe(0)
    expect(nic.device.dma.access(0xc0000, 64, false, 'test')).toBeNull()
    expect(nic.breaches()[0].rule).toMatch(/does not share .*memory-backend-memfd/)
    expect(
      client.errno(Command.DMA_UNMAP, encodeDmaUnmap({ flags: 0, address: 0xc0000, size: 0x20000 })),
    ).toBe(0)
  })

  test('what can not be given back keeps nothing else from it', () => {
    const size = 4 * 1024 * 1024
    const file = createSealedMemfd('ixy-ts-test', size)
    const addresses = [2 ** 32, 2 ** 33, 2 ** 34]
    for (const address of addresses) expect(client.errno(Command.DMA_MAP, map(address, size), [file])).toBe(0)
    const space = sharedSpace()
    let kept = NaN
    const unmap = jest.spyOn(space, 'unmap').mockImplementationOnce((at) => {
      kept = at
      throw new LinuxError('munmap', 'EINVAL')
    })
    const all = encodeDmaUnmap({ flags: DMA_UNMAP_ALL, address: 0, size: 0 })
    expect(client.errno(Command.DMA_UNMAP, all)).toBe(EIO)
    expect(unmap).toHaveBeenCalledTimes(3)
    unmap.mockRestore()
    Array.from(space.unmap(kept))
    for (const address of addresses) expect(client.errno(Command.DMA_MAP, map(address, size), [file])).toBe(0)
    close(file)
  })

  test('a read-only mapping is readable only', () => {
    expect(client.errno(Command.DMA_MAP, map(0x1000, 4096, 0, 1), [fd])).toBe(0)
    expect(nic.device.dma.access(0x1000, 64, false, 'test')).not.toBeNull()
    expect(nic.device.dma.access(0x1000, 64, true, 'test')).toBeNull()
  })
})

describe('interrupts', () => {
  const set = (index: number, start: number, count: number, flags: number, fds: number[] = []): number =>
    client.errno(Command.DEVICE_SET_IRQS, encodeIrqSet({ flags, index, start, count, data: NOTHING }), fds)
  const ARM = IrqSetFlag.DATA_EVENTFD | IrqSetFlag.ACTION_TRIGGER
  const fds: number[] = []

  beforeEach(() => {
    client.hello()
    fds.push(createEventFd(), createEventFd())
  })
  afterEach(() => {
    fds.splice(0).forEach(close)
  })

  test('there are 64 MSI-X vectors', () => {
    const info = (index: number): number =>
      decodeIrqInfo(
        client.request(Command.DEVICE_GET_IRQ_INFO, encodeIrqInfo({ flags: 0, index, count: 0 })).payload,
      ).count
    expect([Irq.INTX, Irq.MSI, Irq.MSIX].map(info)).toEqual([1, 1, 64])
    expect(client.errno(Command.DEVICE_GET_IRQ_INFO, encodeIrqInfo({ flags: 0, index: 9, count: 0 }))).toBe(
      EINVAL,
    )
  })

  test('EICS rings the eventfd of the vector', () => {
    expect(set(Irq.MSIX, 3, 2, ARM, fds)).toBe(0)
    client.write(Region.BAR0, offsetOf(REG.GPIE), REG.GPIE.fields.MULTIPLE_MSIX.mask)
    client.write(Region.BAR0, offsetOf(REG.EIMS), 0xffff)
    client.write(Region.BAR0, offsetOf(REG.EICS), 1 << 4)
    expect(fds.map(drainEventFd)).toEqual([false, true])
    expect(set(Irq.MSIX, 0, 0, IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_TRIGGER)).toBe(0)
    client.write(Region.BAR0, offsetOf(REG.EICS), 1 << 3)
    expect(fds.map(drainEventFd)).toEqual([false, false])
    // Nobody listened: it is pending, and comes when somebody does.
    expect(client.read(Region.BAR4, 0x2000)).toBe(1 << 3)
    expect(set(Irq.MSIX, 3, 2, ARM, fds)).toBe(0)
    expect(fds.map(drainEventFd)).toEqual([true, false])
    expect(client.read(Region.BAR4, 0x2000)).toBe(0)
  })

  test('a legacy interrupt stays silent until it is unmasked, then rings again if its cause is still there', () => {
    expect(set(Irq.INTX, 0, 1, ARM, [fds[0]])).toBe(0)
    client.write(Region.BAR0, offsetOf(REG.EIMS), 1)
    client.write(Region.BAR0, offsetOf(REG.EICS), 1)
    expect(drainEventFd(fds[0])).toBe(true)
    client.write(Region.BAR0, offsetOf(REG.EICS), 1)
    expect(drainEventFd(fds[0])).toBe(false)
    expect(set(Irq.INTX, 0, 1, IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_UNMASK)).toBe(0)
    expect(drainEventFd(fds[0])).toBe(true)
    expect(client.read(Region.BAR0, offsetOf(REG.EICR))).toBe(1)
    set(Irq.INTX, 0, 1, IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_UNMASK)
    expect(drainEventFd(fds[0])).toBe(false)
  })

  test('a legacy interrupt is shown and held back as uio_pci_generic and VFIO want it', () => {
    expect(set(Irq.INTX, 0, 1, ARM, [fds[0]])).toBe(0)
    const unmask = (): unknown => set(Irq.INTX, 0, 1, IrqSetFlag.DATA_NONE | IrqSetFlag.ACTION_UNMASK)
    const pending = (): boolean => (client.read(Region.CONFIG, 4) & (8 << 16)) !== 0
    client.write(Region.BAR0, offsetOf(REG.EIMS), 1)
    client.write(Region.BAR0, offsetOf(REG.EICS), 1)
    expect([drainEventFd(fds[0]), pending()]).toEqual([true, true])
    // Interrupt Disable: silent, although the cause is there and the client has unmasked the line.
    client.write(Region.CONFIG, 4, 0x0406, 2)
    unmask()
    expect([drainEventFd(fds[0]), pending()]).toEqual([false, true])
    client.write(Region.CONFIG, 4, 0x0006, 2)
    expect(drainEventFd(fds[0])).toBe(true)
    client.read(Region.BAR0, offsetOf(REG.EICR))
    unmask()
    expect([drainEventFd(fds[0]), pending()]).toEqual([false, false])
  })

  test('what does not add up is refused', () => {
    expect(set(Irq.MSIX, 63, 2, ARM, fds)).toBe(EINVAL)
    expect(set(Irq.MSIX, 0, 3, ARM, fds)).toBe(EINVAL)
    expect(set(Irq.MSIX, 0, 0xffffffff, ARM)).toBe(EINVAL)
    expect(set(7, 0, 1, ARM, [fds[0]])).toBe(EINVAL)
    expect(set(Irq.MSIX, 0, 1, IrqSetFlag.DATA_NONE)).toBe(EINVAL)
  })
})

describe('packets', () => {
  /** Rings of 64 descriptors at 0x10000 (receive) and 0x11000 (transmit), buffers from 0x20000 on. */
  function bringUp(memory: ArrayBuffer): Uint32Array {
    const bar0 = (offset: number, value: number): void => {
      expect(client.write(Region.BAR0, offset, value)).toBe(0)
    }
    client.write(Region.CONFIG, 4, 6, 2)
    const words = new Uint32Array(memory)
    for (let i = 0; i < 64; i++) words.set([0x20000 + i * 2048, 0, 0, 0], i * 4)
    bar0(offsetOf(REG.FCTRL), 0x700)
    bar0(offsetOf(REG.RDBAL), 0x10000)
    bar0(offsetOf(REG.RDLEN), 1024)
    bar0(offsetOf(REG.SRRCTL), 0x02000002)
    bar0(offsetOf(REG.RXDCTL), REG.RXDCTL.fields.ENABLE.mask)
    bar0(offsetOf(REG.RDT), 63)
    bar0(offsetOf(REG.RXCTRL), 1)
    bar0(offsetOf(REG.DMATXCTL), 0x81000005)
    bar0(offsetOf(REG.TDBAL), 0x11000)
    bar0(offsetOf(REG.TDLEN), 1024)
    bar0(offsetOf(REG.TXDCTL), REG.TXDCTL.fields.ENABLE.mask)
    client.turn(100)
    return words
  }

  test('go through memory that is shared by descriptor', () => {
    client.hello()
    const memory = client.share(0x10000, 0x100000)
    const words = bringUp(memory)
    const frame = frameOf(100)
    wire.waiting.push(frame)
    client.turn()
    expect(words[2] & 3).toBe(3)
    expect(new Uint8Array(memory, 0x10000, 100)).toEqual(frame)
    words.set([0x20000, 0, 0x2b300064, 100 << 14], 0x1000 / 4)
    client.write(Region.BAR0, offsetOf(REG.TDT), 1)
    client.turn()
    expect(wire.sent).toEqual([frame])
    expect(words[0x1000 / 4 + 3] & 1).toBe(1)
  })

  describe.each([false, true])('whose client has mapped the doorbells: %s', (shared) => {
    /** Word 0 and 2 of the descriptors of a right packet and one whose UDP checksum is wrong. */
    function received(): number[] {
      client.hello(shared)
      const words = bringUp(client.share(0x10000, 0x100000))
      const right = udp4('10.0.0.1', 1000, '10.0.0.2', 2000)
      const wrong = right.slice()
      wrong[wrong.length - 1] ^= 1
      wire.waiting.push(right, wrong)
      client.turn()
      return [words[0], words[2], words[4], words[6]]
    }

    test('are looked into, as on every card', () => {
      const { L4CS, IPCS, L4E } = RxStatus
      const [type, status, wrongType, wrongStatus] = received()
      expect([type, wrongType]).toEqual([0x210, 0x210])
      expect(status & (L4CS | IPCS | L4E)).toBe(L4CS | IPCS)
      expect(wrongStatus & (L4CS | IPCS | L4E)).toBe(L4CS | IPCS | L4E | 0)
    })

    test('are left alone if that is asked for', () => {
      client.close()
      nic.close()
      ;({ nic, wire, path } = startNic({ inspect: false }))
      client = new TestClient(nic, path)
      expect(received()).toEqual([0, RxStatus.DD | RxStatus.EOP, 0, RxStatus.DD | RxStatus.EOP])
    })
  })

  test('stop when the client dies, and the next one finds the device as new', () => {
    client.hello()
    bringUp(client.share(0x10000, 0x100000))
    expect(nic.port.room()).toBe(63)
    client.close()
    client.turn()
    expect([nic.connected, nic.port.room()]).toEqual([false, 0])
    client = new TestClient(nic, path)
    client.hello()
    expect(client.read(Region.BAR0, offsetOf(REG.RXCTRL))).toBe(0)
    expect(client.read(Region.CONFIG, 4, 2)).toBe(0)
    bringUp(client.share(0x10000, 0x100000))
    wire.waiting.push(frameOf(60))
    client.turn()
    expect(wire.delivered).toEqual([true])
  })

  test('memory taken away in the middle of it is not touched any more', () => {
    client.hello()
    const words = bringUp(client.share(0x10000, 0x100000))
    wire.waiting.push(frameOf(60))
    client.turn()
    expect(
      client.errno(Command.DMA_UNMAP, encodeDmaUnmap({ flags: 0, address: 0x10000, size: 0x100000 })),
    ).toBe(0)
    wire.waiting.push(frameOf(60))
    client.turn()
    expect(nic.port.room()).toBe(0)
    expect(words[6]).toBe(0)
    bringUp(client.share(0x10000, 0x100000))
    expect(nic.port.room()).toBeGreaterThan(0)
  })
})

test('a second client waits until the first has gone', () => {
  client.hello()
  const second = new TestClient(nic, path)
  second.post(Command.VERSION, encodeVersion({ major: 0, minor: 1, capabilities: {} }))
  expect(second.answer()).toBeNull()
  client.close()
  expect(second.answer()?.header.command).toBe(Command.VERSION)
  second.close()
})

test('a NIC that goes away while its client is writing leaves an end of stream, which QEMU survives', () => {
  client.hello()
  const write = encodeRegionAccess({ region: Region.BAR0, offset: 0, count: 4, data: new Uint8Array(4) })
  for (let i = 0; i < 100; i++) client.post(Command.REGION_WRITE, write, [], MessageFlag.NO_REPLY)
  nic.close()
  expect(receiveBytes(client.socket.fd, 1, [])).toBe(0)
})

test('a NIC whose wire can not be closed gives back everything else', () => {
  const open = (): number => readdirSync('/proc/self/fd').length
  const before = open()
  const broken = startNic()
  broken.wire.close = () => {
    throw new Error('the disk is full')
  }
  expect(() => broken.nic.close()).toThrow('the disk is full')
  expect(existsSync(broken.path)).toBe(false)
  expect(open()).toBe(before)
})
