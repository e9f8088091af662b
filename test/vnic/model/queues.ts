/** Hosts with several receive queues, and which of them a frame reaches. */
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { Host, RX_RING } from './host.ts'

/** Toeplitz key published by Microsoft ("Verifying the RSS hash calculation"). */
const KEY = Buffer.from(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
  'hex',
)

/** A host with this many receive queues, and RSS off. */
export function queuesHost(options: ConstructorParameters<typeof Host>[0] = {}, queues = 4): Host {
  const host = new Host(options)
  host.initialise()
  host.acceptAll()
  for (let queue = 0; queue < queues; queue++)
    host.startReceive(64, { queue, ring: RX_RING + queue * 0x1000 })
  host.enableReceive()
  host.waitForLink()
  return host
}

/** As queuesHost, with the key above and a redirection table that spreads over the queues. */
export function rssHost(fields: number, queues = 4): Host {
  const host = queuesHost({}, queues)
  host.write(REG.RXCSUM, REG.RXCSUM.fields.PCSD.mask)
  for (let i = 0; i < 10; i++) host.write(REG.RSSRK, KEY.readUInt32LE(i * 4), i)
  for (let i = 0; i < 32; i++) {
    let entry = 0
    for (let byte = 0; byte < 4; byte++) entry |= ((i * 4 + byte) % queues) << (byte * 8)
    host.write(REG.RETA, entry, i)
  }
  host.write(REG.MRQC, 1 | fields)
  return host
}

/** Delivers one frame; returns queue, hash, word 0 and status word of its descriptor. */
export function steer(
  host: Host,
  frame: Uint8Array,
): { queue: number; hash: number; word0: number; status: number } {
  const heads = [0, 1, 2, 3].map((queue) => host.read(REG.RDH, queue))
  host.wire.waiting.push(frame)
  host.poll()
  const queue = heads.findIndex((head, index) => host.read(REG.RDH, index) !== head)
  const { words, status } = host.received(heads[queue], { ring: RX_RING + queue * 0x1000 })
  return { queue, hash: words[1], word0: words[0], status }
}
