/**
 * Routes IPv4 between its ports, each with an address: RFC 1812's checks, time to live, ICMP errors, ARP, static routes.
 *
 *     ixy-ts run router.ts <device a> <device b> -- 10.0.1.1/24 10.0.2.1/24 --route 0.0.0.0/0=10.0.2.7
 */
import { parseArgs } from 'node:util'
import * as ixy from 'ixy-ts'

/** `via`: the next router; null: the targets are on the link itself. Routes with long prefixes stand first. */
type Route = { network: number; mask: number; via: number | null; port: number }

/** `no_host` and `no_room` are also among the others: they had a route, and got no further. */
const COUNTERS = 'routed local invalid ignored no_route no_host expired no_room'.split(' ')
const [ROUTED, LOCAL, INVALID, IGNORED, NO_ROUTE, NO_HOST, EXPIRED, NO_ROOM] = COUNTERS.keys()
const { DESTINATION_UNREACHABLE, TIME_EXCEEDED } = ixy.IcmpType
const { UDP } = ixy.IpProtocol
const { NET, HOST, PROTOCOL, PORT } = ixy.UnreachableCode

const router: ixy.App<{ links: ixy.Ipv4Prefix[]; routes: Route[] }> = {
  name: 'router',
  ports: { min: 2, max: 8 },
  pools: 1,
  counters: COUNTERS,

  options(argv) {
    const options = { route: { type: 'string', multiple: true, default: [] as string[] } } as const
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
    const links = positionals.map(ixy.parseIpv4Prefix)
    const routes: Route[] = links.map(({ network, mask }, port) => ({ network, mask, via: null, port }))
    for (const [target, text = ''] of values.route.map((route) => route.split('='))) {
      const via = ixy.parseIpv4(text)
      const port = links.findIndex(({ network, mask }) => (via & mask) === network)
      if (port < 0) throw ixy.usageError(`${text} is on no link`, 'route to a host that is on one')
      routes.push({ ...ixy.parseIpv4Prefix(target), via, port })
    }
    return { links, routes: routes.sort((a, b) => (b.mask >>> 0) - (a.mask >>> 0)) }
  },

  plan(options, { devices, queues }) {
    if (options.links.length === devices.length && queues === 1) return [options]
    throw ixy.usageError('the router wants one address per device, and one queue', 'see the head of its file')
  },

  make({ ports, memory, pools: [pool], batchSize, counters }, { links, routes }) {
    const [frame, ip, icmp] = [new ixy.EthernetFrame(), new ixy.Ipv4Packet(), new ixy.IcmpMessage()]
    const [batch, one] = [memory.batch(batchSize), memory.batch(1)]
    const out = ports.map(({ tx }) => new ixy.TxBatch(memory, tx, 2 * batchSize * ports.length))
    const giveUp = (id: number): void => {
      ip.wrap(memory.u8, memory.dataOffset(id) + 14, memory.size[id] - 14)
      complain(id, NO_HOST, DESTINATION_UNREACHABLE, HOST)
    }
    // Locally administered, and they end with the ports' IPv4 addresses.
    const macs = links.map(({ address: ip }) => Uint8Array.of(2, 0, ip >>> 24, ip >>> 16, ip >>> 8, ip))
    const tables = links.map((prefix, port) => {
      const send = (id: number): void => out[port].add(id)
      return new ixy.ArpTable({ memory, pool, mac: macs[port], prefix, send, giveUp })
    })
    const routeTo = (address: number) => routes.find(({ mask, network }) => (address & mask) === network)
    let [steps, nextSecond] = [0, 0]

    function drop(id: number, reason: number): void {
      one[0] = id
      memory.free(one, 0, 1)
      counters[reason]++
    }

    /** Sends the packet at which `ip` is aimed on its way. */
    function forward(id: number, counter: number): void {
      const route = routeTo(ip.destination)
      if (route === undefined) return complain(id, NO_ROUTE, DESTINATION_UNREACHABLE, NET)
      counters[counter]++
      if (!tables[route.port].send(id, route.via ?? ip.destination)) drop(id, NO_ROOM)
    }

    /** Turns the packet at which `ip` is aimed into an ICMP error about it, and sends that back. */
    function complain(id: number, reason: number, type: number, code: number): void {
      const { address } = links[routeTo(ip.source)?.port ?? 0]
      if (ixy.writeIcmpError(memory, id, ip, icmp, address, type, code)) forward(id, reason)
      else drop(id, reason)
    }

    function arrive(id: number, port: number): void {
      if (tables[port].receive(id)) return void counters[LOCAL]++
      // Broadcasts of the link are not routed (RFC 1812 §5.3.4).
      const wanted = frame.wrapPacket(memory, id) && frame.destinationIs(macs[port])
      if (!wanted || frame.type !== ixy.EtherType.IPV4) return drop(id, IGNORED)
      const whole = ip.wrap(memory.u8, frame.payloadOffset, frame.payloadLength) && ip.checksumOk
      if (!whole || !ixy.isIpv4Host(ip.source)) return drop(id, INVALID)
      if (!ixy.isIpv4Host(ip.destination)) return drop(id, IGNORED)
      if (links.some(({ address }) => address === ip.destination)) {
        if (ixy.answerEcho(ip, icmp)) return forward(id, LOCAL)
        return complain(id, LOCAL, DESTINATION_UNREACHABLE, ip.protocol === UDP ? PORT : PROTOCOL)
      }
      if (ip.timeToLive <= 1) return complain(id, EXPIRED, TIME_EXCEEDED, 0)
      ip.decrementTimeToLive()
      forward(id, ROUTED)
    }

    return {
      step() {
        let moved = 0
        for (let port = 0; port < ports.length; port++) {
          const count = ports[port].rx.receive(batch, batchSize)
          for (let i = 0; i < count; i++) arrive(batch[i], port)
          moved += count
        }
        // A worker that sleeps (--mode interrupt) takes few steps a second.
        if ((moved === 0 || (++steps & 63) === 0) && performance.now() > nextSecond) {
          for (const table of tables) table.everySecond()
          nextSecond = performance.now() + 1000
        }
        for (const batch of out) counters[NO_ROOM] += batch.flush()
        return moved
      },
      quiet: () => tables.forEach((table) => table.close()),
    }
  },
}
export default router
