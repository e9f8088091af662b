/**
 * A host that answers ARP and ping:
 *
 *     ixy-ts run docs/examples/responder.ts virtual:tap=tap0 -- 10.0.0.2
 */
import {
  answerEcho,
  type App,
  ArpOperation,
  ArpPacket,
  EthernetFrame,
  EtherType,
  IcmpMessage,
  Ipv4Packet,
  parseIpv4,
  usageError,
} from 'ixy-ts'

const responder: App<number, number> = {
  name: 'responder',
  ports: { min: 1, max: 1 },
  counters: ['arp_replies', 'echo_replies', 'ignored'],

  options([address, ...rest]) {
    if (address === undefined || rest.length > 0)
      throw usageError('the responder has one address', 'give it behind --, as in -- 10.0.0.2')
    return parseIpv4(address)
  },

  make({ ports: [{ rx, tx }], memory, batchSize, counters }, address) {
    const batch = memory.batch(batchSize)
    const unwanted = memory.batch(batchSize)
    // Locally administered, and it ends with the IPv4 address.
    const mac = Uint8Array.of(2, 0, address >>> 24, address >>> 16, address >>> 8, address)
    const frame = new EthernetFrame()
    const arp = new ArpPacket()
    const ip = new Ipv4Packet()
    const icmp = new IcmpMessage()

    /** Makes the answer of a question, where it lies. False if it is none for this host. */
    function answer(id: number): boolean {
      if (!frame.wrapPacket(memory, id)) return false
      const { u8, type, payloadOffset, payloadLength } = frame
      if (type === EtherType.ARP && arp.wrap(u8, payloadOffset, payloadLength)) {
        if (arp.operation !== ArpOperation.REQUEST || arp.targetIp !== address) return false
        arp.answer(mac)
        counters[0]++
      } else {
        if (type !== EtherType.IPV4 || !ip.wrap(u8, payloadOffset, payloadLength)) return false
        if (ip.destination !== address || !answerEcho(ip, icmp)) return false
        counters[1]++
      }
      frame.swapAddresses()
      frame.setSource(mac)
      return true
    }

    return {
      step() {
        const count = rx.receive(batch, Math.min(batchSize, tx.room()))
        let answers = 0
        let others = 0
        for (let i = 0; i < count; i++) {
          if (answer(batch[i])) batch[answers++] = batch[i]
          else unwanted[others++] = batch[i]
        }
        tx.transmit(batch, 0, answers)
        memory.free(unwanted, 0, others)
        counters[2] += others
        return count
      },
    }
  },
}
export default responder
