/** The packets of `ixy-ts pktgen` as Linux receives them: what its driver counts and what a socket sees. */
import assert from 'node:assert/strict'
import type { LinuxNic } from './linux-nic.ts'
import { until } from './processes.ts'
import type { Answer, Guest } from './qemu.ts'

const PORT = 6000
const PACKETS = 10_000
/** Thousand packets per second: what Node in a guest under TCG still takes. */
const FASTEST = 2
const SLOWEST = 0.5

export const GENERATED = `${PACKETS} datagrams of three sizes, each received, in order`

/** node receiver.cjs <address>: counts datagrams whose last four bytes are a sequence number, until SIGTERM. */
const RECEIVER = `
const fs = require('fs')
const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 8 << 20 })
const totals = { received: 0, outOfOrder: 0, sizes: {} }
socket.on('message', (data) => {
  if (data.readUInt32LE(data.length - 4) !== totals.received) totals.outOfOrder++
  totals.received++
  totals.sizes[data.length] = (totals.sizes[data.length] || 0) + 1
})
socket.bind(${PORT}, process.argv[2], () => fs.writeFileSync('/tmp/receiver.ready', 'ready'))
process.on('SIGTERM', () => {
  console.log(JSON.stringify(totals))
  process.exit(0)
})
`

interface Totals {
  readonly received: number
  readonly outOfOrder: number
  readonly sizes: Readonly<Record<string, number>>
}

/**
 * Has `pktgen` run with these options to its end and insists on each packet arriving at the NIC, which has `address`
 * and hears nobody else. On a machine that leaves the guest without time for longer than the card's descriptors last,
 * the card misses some and says so: then once more, slower.
 */
export async function receivesGenerated(
  nic: LinuxNic,
  address: string,
  pktgen: (options: readonly string[]) => Promise<Answer>,
): Promise<string> {
  await nic.guest.sh('echo 8388608 > /proc/sys/net/core/rmem_max')
  const mac = await nic.mac()
  for (let rate = FASTEST; ; rate /= 2) {
    const before = { received: await received(nic), missed: await missed(nic) }
    await startReceiver(nic.guest, address)
    const { code, output } = await pktgen([
      ...['--count', String(PACKETS), '--rate', `${rate}kpps`, '--imix', '--json'],
      ...['--dst-mac', mac, '--dst-ip', address, '--dst-port', String(PORT)],
    ])
    assert.equal(code, 0, output)
    // The last ones may still be on their way through the guest's kernel.
    let lost = 0
    await until('each packet is counted as received or missed', 10, async () => {
      lost = (await missed(nic)) - before.missed
      return (await received(nic)) - before.received + lost >= PACKETS
    })
    const totals = await stopReceiver(nic.guest)
    if (lost > 0 && rate > SLOWEST) continue
    assert.equal((await received(nic)) - before.received, PACKETS, 'ip -s link')
    const { received: count, outOfOrder, sizes } = totals
    assert.deepEqual({ count, outOfOrder }, { count: PACKETS, outOfOrder: 0 }, JSON.stringify(totals))
    // Frames of 60, 566 and 1514 bytes without the 42 bytes of Ethernet, IPv4 and UDP headers.
    assert.deepEqual(Object.keys(sizes), ['18', '524', '1472'])
    return `${rate} kpps, ${JSON.stringify(sizes)}`
  }
}

async function startReceiver(guest: Guest, address: string): Promise<void> {
  await guest.sh(
    `rm -f /tmp/receiver.ready /tmp/receiver.out
     echo ${Buffer.from(RECEIVER).toString('base64')} | base64 -d >/tmp/receiver.cjs
     node --single-threaded /tmp/receiver.cjs ${address} >/tmp/receiver.out 2>&1 &
     echo $! >/tmp/receiver.pid
     until [ -s /tmp/receiver.ready ]; do kill -0 $(cat /tmp/receiver.pid) || exit 1; usleep 50000; done`,
  )
}

async function stopReceiver(guest: Guest): Promise<Totals> {
  const output = await guest.sh(
    'usleep 500000; kill -TERM $(cat /tmp/receiver.pid); until [ -s /tmp/receiver.out ]; do usleep 50000; done; cat /tmp/receiver.out',
  )
  return JSON.parse(output) as Totals
}

/** Packets that `ip -s link` says were received. */
async function received(nic: LinuxNic): Promise<number> {
  const [link] = JSON.parse(await nic.guest.sh(`ip -j -s link show dev ${nic.name}`)) as {
    stats64: { rx: { packets: number } }
  }[]
  return link?.stats64.rx.packets ?? 0
}

/** Packets for which the card had no descriptor. */
async function missed(nic: LinuxNic): Promise<number> {
  const counters = await nic.counters()
  return (counters.get('rx_missed_errors') ?? 0) + (counters.get('rx_no_dma_resources') ?? 0)
}
