import fc from 'fast-check'
import { GeneratedFrames } from '../../../src/apps/pktgen/frame-source.ts'
import { planFrames } from '../../../src/apps/pktgen/templates/frame-plan.ts'
import { type Shape, shapeOf } from '../../../src/apps/pktgen/templates/shape.ts'
import { buildFrame } from '../../../src/packet/template.ts'
import { POOL, makeMemory, packet } from './memory.ts'
import { shapes } from './shapes.ts'

/** Packets `index`, `index + of`, … of the run, so many, made in batches of different sizes. */
function made(
  { template, sizes, counts, order, seed }: Shape,
  index: number,
  of: number,
  total: number,
): Buffer[] {
  const memory = makeMemory()
  const source = new GeneratedFrames(memory, POOL, planFrames(template, sizes, counts, order, seed), {
    index,
    of,
  })
  const batch = new Int32Array(32)
  const frames: Buffer[] = []
  for (let wanted = 1; frames.length < total; wanted = (wanted % 7) + 1) {
    const count = source.next(batch, Math.min(wanted, total - frames.length))
    for (const id of batch.subarray(0, count)) frames.push(Buffer.from(packet(memory, id)))
    memory.free(batch.slice(0, count).reverse(), 0, count)
  }
  return frames
}

/** `address` and so many on. */
function ahead(address: Uint8Array, by: number): Uint8Array {
  const moved = Buffer.from(address)
  moved.writeUInt32BE((moved.readUInt32BE(moved.length - 4) + by) >>> 0, moved.length - 4)
  return moved
}

/** Packet `k` of an order without chance, built anew from what the fields are to be. */
function expected({ template, sizes, counts, order }: Shape, k: number): Buffer {
  const names = [
    'sourceIp',
    'destinationIp',
    'sourcePort',
    'destinationPort',
    'sourceMac',
    'destinationMac',
  ] as const
  let rest = k
  const by = Object.fromEntries(
    names.map((name) => {
      const count = counts[name] ?? 1
      const digit = rest % count
      if (order === 'product') rest = Math.floor(rest / count)
      return [name, digit]
    }),
  )
  const frame = Buffer.from(
    buildFrame(
      {
        ...template,
        sourceIp: ahead(template.sourceIp, by['sourceIp']),
        destinationIp: ahead(template.destinationIp, by['destinationIp']),
        sourceMac: ahead(template.sourceMac, by['sourceMac']),
        destinationMac: ahead(template.destinationMac, by['destinationMac']),
        sourcePort: template.sourcePort + by['sourcePort'],
        destinationPort: template.destinationPort + by['destinationPort'],
      },
      sizes[k % sizes.length],
    ),
  )
  frame.writeUInt32LE(k, frame.length - 4)
  return frame
}

test('ranges go on in turn, or through every combination, and only what depends on them differs', () => {
  fc.assert(
    fc.property(
      // Checksums, the echo's number and VXLAN's port depend on more than the fields: tshark.test.ts judges them.
      shapes.filter(
        ({ template: { protocol, udpChecksum, vxlan }, order }) =>
          order !== 'random' && protocol === 'udp' && !udpChecksum && vxlan === null,
      ),
      (shape) => {
        made(shape, 0, 1, 300).forEach((frame, k) => expect(frame.equals(expected(shape, k))).toBe(true))
      },
    ),
    { numRuns: 30 },
  )
})

test('workers send together what one would, byte for byte, whatever packets look like', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 2, max: 9 }), (shape, of) => {
      const all = made(shape, 0, 1, of * 20)
      for (let index = 0; index < of; index++) {
        const share = made(shape, index, of, 20)
        expect(share.findIndex((frame, i) => !frame.equals(all[index + i * of]))).toBe(-1)
      }
    }),
    { numRuns: 100 },
  )
})

test('random values stay in their range, come from all of it, are the same for the same seed and others for another', () => {
  const sources = (seed: number): number[] => {
    const srcIp = { first: Uint8Array.of(10, 0, 0, 1), count: 254 }
    const surroundings = { mtu: 1500, payload: 0, called: (name: string) => name }
    const shape = shapeOf({ srcIp, dstIp: srcIp, order: 'random', seed }, surroundings)
    const frames = made(shape, 0, 1, 4000)
    // The two fields are drawn apart from each other.
    const same = frames.filter((frame) => frame.readUInt32BE(26) === frame.readUInt32BE(30))
    expect(same.length).toBeLessThan(60)
    return frames.map((frame) => frame.readUInt32BE(26) - 0x0a000000)
  }
  const [one, again, other] = [7, 7, 8].map(sources)
  expect(again).toEqual(one)
  expect(other.filter((source, i) => source === one[i]).length).toBeLessThan(60)
  expect([Math.min(...one), Math.max(...one), new Set(one).size]).toEqual([1, 254, 254])
})
