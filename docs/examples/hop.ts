/**
 * Takes one hop off every IPv4 packet between two ports, and swaps its MAC addresses. Its step is in WebAssembly (wasm/hop.ts), and for
 * --backend ts here as well:
 *
 *     npx asc wasm/hop.ts -o hop.wasm -O3 --noAssert --runtime stub --importMemory --debug
 *     ixy-ts run ./hop.ts virtual:gen virtual:gen
 */
import { type App, EthernetFrame, EtherType, Ipv4Packet } from 'ixy-ts'

const hop: App = {
  name: 'hop',
  ports: { min: 2, max: 2 },
  counters: ['passed', 'expired'],
  wasm: 'hop.wasm',

  make({ ports: [a, b], memory, batchSize, counters, wasm }) {
    if (wasm !== null) return { step: wasm.step }

    const batch = memory.batch(batchSize)
    const expired = memory.batch(batchSize)
    const frame = new EthernetFrame()
    const ip = new Ipv4Packet()

    /** False if it had no hop left. */
    function takeHop(id: number): boolean {
      if (!frame.wrapPacket(memory, id) || frame.type !== EtherType.IPV4) return true
      if (!ip.wrap(frame.u8, frame.payloadOffset, frame.payloadLength)) return true
      if (ip.timeToLive <= 1) return false
      frame.swapAddresses()
      ip.decrementTimeToLive()
      return true
    }

    function pass(from: typeof a, to: typeof a): number {
      const received = from.rx.receive(batch, Math.min(batchSize, to.tx.room()))
      let kept = 0
      let gone = 0
      for (let i = 0; i < received; i++) {
        if (takeHop(batch[i])) batch[kept++] = batch[i]
        else expired[gone++] = batch[i]
      }
      counters[0] += to.tx.transmit(batch, 0, kept)
      counters[1] += gone
      memory.free(expired, 0, gone)
      return received
    }

    return { step: () => pass(a, b) + pass(b, a) }
  },
}
export default hop
