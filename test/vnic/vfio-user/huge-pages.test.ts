/** A client whose memory is in huge pages and who shares pieces of them, as QEMU does with its 640 KiB of low memory. */
import { sleepMilliseconds } from '../../../src/linux/clock.ts'
import { close, createSealedMemfd } from '../../../src/linux/file.ts'
import { isErrno } from '../../../src/linux/libc.ts'
import { mmap, munmap, viewOf } from '../../../src/linux/mapping.ts'
import { Command, DMA_UNMAP_ALL, encodeDmaMap, encodeDmaUnmap } from '../../../src/pci/vfio-user/protocol.ts'
import type { VirtualNic } from '../../../src/vnic/nic.ts'
import { sharedSpace } from '../../../src/vnic/space.ts'
import { describeIf, missing } from '../../skip.ts'
import { startNic, TestClient } from './client.ts'

const KIB = 1024
const MIB = 1024 * KIB
const HUGE = 2 * MIB

describeIf(missing({ hugePages: 2 }), 'memory in huge pages', () => {
  /** QEMU's low memory, what is behind the hole for the graphics card, and one page of an IOMMU. */
  const PIECES = [
    { address: 0, size: 640 * KIB, offset: 0 },
    { address: 768 * KIB, size: HUGE, offset: 768 * KIB },
    { address: 2 ** 32, size: 4096, offset: HUGE + 4096 },
  ]
  let nic: VirtualNic
  let path: string
  let client: TestClient
  let fd: number
  let mapped: bigint
  let memory: Uint8Array

  beforeEach(() => {
    ;({ nic, path } = startNic())
    client = new TestClient(nic, path)
    client.hello()
    fd = createSealedMemfd('ixy-ts-test', 2 * HUGE, HUGE)
    mapped = mapWhenFree(fd)
    memory = new Uint8Array(viewOf(mapped, 2 * HUGE))
  })
  afterEach(() => {
    client.close()
    nic.close()
    munmap(mapped, 2 * HUGE)
    close(fd)
  })

  /** Other processes take what is free, for moments: also what counts as free, as they have reserved it and not touched it yet. */
  function mapWhenFree(file: number): bigint {
    const deadline = performance.now() + 20_000
    for (;;) {
      try {
        return mmap(2 * HUGE, { fd: file })
      } catch (error) {
        if (!isErrno(error, 'ENOMEM') || performance.now() > deadline) throw error
        sleepMilliseconds(20)
      }
    }
  }

  const map = (piece: { address: number; size: number; offset: number }, file = fd): number =>
    client.errno(Command.DMA_MAP, encodeDmaMap({ flags: 3, ...piece }), [file])
  const unmap = (address: number, size: number, flags = 0): number =>
    client.errno(Command.DMA_UNMAP, encodeDmaUnmap({ flags, address, size }))

  function regionAt(address: number, size: number) {
    const region = nic.device.dma.find(address, size)
    if (region === null) throw new Error(`nothing is mapped at 0x${address.toString(16)}`)
    return region
  }

  /** What the device sees at the first and the last byte of a piece. */
  function ends({ address, size }: { address: number; size: number }): number[] {
    const { bytes, origin, iova } = regionAt(address, size)
    const first = origin + address - iova
    return [bytes.u8[first], bytes.u8[first + size - 1]]
  }

  /** Takes all of the space in which clients' memory is mapped at first. */
  function fillSpace(): number {
    const size = (sharedSpace().bytes.u8.length / 8) * 7 - HUGE + 4096
    const file = createSealedMemfd('ixy-ts-test', size)
    expect(map({ address: 2 ** 40, size, offset: 0 }, file)).toBe(0)
    return file
  }

  test.each([
    ['in the space of all NICs', false],
    ['beside it, when it is full', true],
  ])('is mapped in pieces, %s, and taken back', (_name, full) => {
    const filler = full ? fillSpace() : -1
    PIECES.forEach(({ offset, size }, i) => {
      memory[offset] = 10 + i
      memory[offset + size - 1] = 20 + i
    })
    for (let round = 0; round < 2; round++) {
      for (const piece of PIECES) expect(map(piece)).toBe(0)
      PIECES.forEach((piece, i) => expect(ends(piece)).toEqual([10 + i, 20 + i]))
      for (const { address, size } of PIECES) {
        expect(regionAt(address, size).bytes === sharedSpace().bytes).toBe(!full)
        // The rest of the huge page is mapped here, too, but it wasn't shared.
        expect(nic.device.dma.find(address + size, 4)).toBeNull()
        expect(unmap(address, size)).toBe(0)
        expect(nic.device.dma.find(address, 4)).toBeNull()
      }
    }
    if (full) close(filler)
  })

  test('does not cover what is shared beside it', () => {
    const page = createSealedMemfd('ixy-ts-test', 4096)
    const view = mmap(4096, { fd: page })
    new Uint8Array(viewOf(view, 4096)).fill(77)
    const beside = { address: 640 * KIB, size: 4096, offset: 0 }
    expect(map(beside, page)).toBe(0)
    expect(map(PIECES[0])).toBe(0)
    expect(ends(beside)).toEqual([77, 77])
    expect(unmap(0, 640 * KIB)).toBe(0)
    expect(ends(beside)).toEqual([77, 77])
    munmap(view, 4096)
    close(page)
  })

  test('does not keep a client from leaving, nor the next one from coming', () => {
    for (const piece of PIECES) expect(map(piece)).toBe(0)
    client.close()
    client.turn()
    expect(nic.connected).toBe(false)
    client = new TestClient(nic, path)
    client.hello()
    for (const piece of PIECES) expect(map(piece)).toBe(0)
    expect(unmap(0, 0, DMA_UNMAP_ALL)).toBe(0)
    expect(nic.device.dma.find(0, 4)).toBeNull()
  })
})
