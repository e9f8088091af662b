/** The packets of `ixy-ts pktgen` as Linux receives them: what its driver counts and what a socket sees. */
import assert from 'node:assert/strict'
import type { LinuxNic } from './linux-nic.ts'
import { until } from './processes.ts'
import type { Answer } from './qemu.ts'

const PORT = 6000
const PACKETS = 10_000
const RATE = '2kpps'

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
 * and hears nobody else.
 */
export async function receivesGenerated(
  nic: LinuxNic,
  address: string,
  pktgen: (options: readonly string[]) => Promise<Answer>,
): Promise<string> {
  const { guest } = nic
  await guest.sh('echo 8388608 > /proc/sys/net/core/rmem_max')
  await guest.sh(
    `echo ${Buffer.from(RECEIVER).toString('base64')} | base64 -d >/tmp/receiver.cjs
     node --single-threaded /tmp/receiver.cjs ${address} >/tmp/receiver.out 2>&1 &
     echo $! >/tmp/receiver.pid
     until [ -s /tmp/receiver.ready ]; do kill -0 $(cat /tmp/receiver.pid) || exit 1; usleep 50000; done`,
  )
  const before = await received(nic)
  const { code, output } = await pktgen([
    ...['--count', String(PACKETS), '--rate', RATE, '--imix', '--json'],
    ...['--dst-mac', await nic.mac(), '--dst-ip', address, '--dst-port', String(PORT)],
  ])
  assert.equal(code, 0, output)
  // The last ones may still be on their way through the guest's kernel.
  await until('ip -s link counts every packet', 10, async () => (await received(nic)) - before >= PACKETS)
  assert.equal((await received(nic)) - before, PACKETS)
  const said = await guest.sh(
    'usleep 500000; kill -TERM $(cat /tmp/receiver.pid); until [ -s /tmp/receiver.out ]; do usleep 50000; done; cat /tmp/receiver.out',
  )
  const { received: count, outOfOrder, sizes } = JSON.parse(said) as Totals
  assert.deepEqual({ count, outOfOrder }, { count: PACKETS, outOfOrder: 0 }, said)
  // Frames of 60, 566 and 1514 bytes without the 42 bytes of Ethernet, IPv4 and UDP headers.
  assert.deepEqual(Object.keys(sizes), ['18', '524', '1472'])
  return JSON.stringify(sizes)
}

/** Packets that `ip -s link` says were received. */
async function received(nic: LinuxNic): Promise<number> {
  const [link] = JSON.parse(await nic.guest.sh(`ip -j -s link show dev ${nic.name}`)) as {
    stats64: { rx: { packets: number } }
  }[]
  return link?.stats64.rx.packets ?? 0
}
