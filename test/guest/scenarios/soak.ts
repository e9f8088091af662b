/**
 * Two-way traffic of random sizes between Linux's ixgbe and a Linux stack at the cable's far end. Each datagram carries
 * its number; what does not arrive must be in some counter. 30 s, or as many as IXY_SOAK_SECONDS says.
 */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Scenario } from '../harness/scenario.ts'
import { start } from '../harness/processes.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.4.1'
const GUEST = '10.77.4.2'
const PORT = 6000
/** Datagrams per second each way: what Node in a guest under TCG still sends on a busy machine. */
const RATE = 1000
const SECONDS = Number(process.env['IXY_SOAK_SECONDS'] ?? 30)

/**
 * Runs at both ends: node udp.cjs <peer> <seconds> <packets per second>. Sends datagrams of 8 to 1472 bytes whose every
 * byte follows from number and length; checks what comes. Begins when the other end is there; ends when it has sent
 * everything and nothing came for 3 s. The socket is connected: of any other, Linux sends each datagram through the
 * transmit queue of the processor that it is on just then, and a card keeps no order between its queues.
 */
const UDP_PEER = `
const [peer, seconds, rate] = process.argv.slice(-3)
const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 4 << 20 })
const totals = { sent: 0, received: 0, duplicated: 0, reordered: 0, corrupted: 0 }
const seen = new Uint8Array(1 << 22)
let newest = -1
let last = Date.now()
let random = 12345
const next = () => (random = (Math.imul(random, 1664525) + 1013904223) >>> 0)
const hello = () => socket.send('')
let greeting
socket.on('message', (data) => {
  if (greeting !== undefined) {
    clearInterval(greeting)
    greeting = undefined
    hello()
    begin()
  }
  if (data.length === 0) return
  totals.received++
  last = Date.now()
  const number = data.readUInt32LE(0)
  for (let i = 4; i < data.length; i++) if (data[i] !== ((number + i + data.length) & 255)) { totals.corrupted++; break }
  if (seen[number]++) totals.duplicated++
  if (number < newest) totals.reordered++
  else newest = number
})
// The peer may not be there yet.
socket.on('error', () => undefined)
socket.bind(${PORT}, () => socket.connect(${PORT}, peer, () => (greeting = setInterval(hello, 100))))
function begin() {
  const started = Date.now()
  const sending = setInterval(() => {
    const elapsed = Date.now() - started
    if (elapsed > seconds * 1000) {
      clearInterval(sending)
      setInterval(() => {
        if (Date.now() - last < 3000) return
        console.log(JSON.stringify(totals))
        process.exit(0)
      }, 100)
      return
    }
    const due = Math.min(Math.floor((elapsed * rate) / 1000), totals.sent + 200)
    while (totals.sent < due) {
      const data = Buffer.alloc(8 + (next() >>> 8) % 1465)
      data.writeUInt32LE(totals.sent, 0)
      for (let i = 4; i < data.length; i++) data[i] = totals.sent + i + data.length
      socket.send(data)
      totals.sent++
    }
  }, 5)
}
`

interface Totals {
  readonly sent: number
  readonly received: number
  readonly duplicated: number
  readonly reordered: number
  readonly corrupted: number
}

export const soak: Scenario = {
  name: 'soak',
  deadline: SECONDS + 120,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const socket = test.socket('nic')
    const server = await startVnic(test, [socket, '--wire', `tap=${network.tap}`], [socket], (command) =>
      network.inside(command),
    )
    const guest = await test.boot({ devices: vnicDevice(socket) })
    const nic = new LinuxNic(guest)
    await test.require('link up, neighbours known for good', async () => {
      await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 60)
      await guest.sh('echo 8388608 > /proc/sys/net/core/rmem_max')
      await nic.up(`${GUEST}/24`)
      await nic.ping(HOST, '-c 2')
      // Else, on a busy machine, ARP goes unanswered for seconds, and the kernel counts nowhere what it then drops.
      const tapMac = (await network.exec(['cat', `/sys/class/net/${network.tap}/address`])).trim()
      await network.ip(...neighbour(GUEST, await nic.mac(), network.tap))
      await guest.sh(`ip ${neighbour(HOST, tapMac, nic.name).join(' ')}`)
    })

    const script = Buffer.from(UDP_PEER).toString('base64')
    await guest.sh(`echo ${script} | base64 -d > /tmp/udp.cjs`)
    const before = { nic: await nic.counters(), tap: await network.counters() }
    let far: Totals | undefined
    let near: Totals | undefined
    await test.require(`${SECONDS} s of datagrams of random size, both ways`, async () => {
      const host = start(
        network.inside([process.execPath, '-e', UDP_PEER, '--', GUEST, String(SECONDS), String(RATE)]),
      )
      test.cleanup(() => host.stop())
      const output = await guest.sh(
        `node --single-threaded /tmp/udp.cjs ${HOST} ${SECONDS} ${RATE}`,
        SECONDS + 60,
      )
      assert.equal(await host.ended, 0, host.output())
      near = JSON.parse(output) as Totals
      far = JSON.parse(host.output()) as Totals
      return `host ${JSON.stringify(far)}, guest ${JSON.stringify(near)}`
    })
    if (near === undefined || far === undefined) return
    const ends = { near, far }

    await test.check('nothing corrupted, duplicated or reordered', () => {
      for (const { duplicated, corrupted, reordered } of [ends.near, ends.far]) {
        assert.deepEqual({ duplicated, corrupted, reordered }, { duplicated: 0, corrupted: 0, reordered: 0 })
      }
    })
    await test.check('every frame is accounted for', async () => {
      const nicNow = await nic.counters()
      const tapNow = await network.counters()
      const grown = (name: string): number => (nicNow.get(name) ?? 0) - (before.nic.get(name) ?? 0)
      const missed = grown('rx_missed_errors') + grown('rx_no_dma_resources') + grown('rx_no_buffer_count')
      assert.equal(
        grown('tx_pkts_nic'),
        tapNow.rxPackets - before.tap.rxPackets,
        'sent by the guest, got by the far end',
      )
      assert.equal(
        tapNow.txPackets - before.tap.txPackets,
        grown('rx_pkts_nic') + missed,
        'sent by the far end',
      )
      const nearNow = await udpErrors((file) => guest.sh(`cat ${file}`))
      const farNow = await udpErrors((file) => network.exec(['cat', file]))
      const towardsGuest = {
        ...{ lost: ends.far.sent - ends.near.received, retried: farNow.sent },
        ...{ socket: nearNow.received, card: missed, tap: tapNow.dropped - before.tap.dropped },
      }
      const towardsHost = {
        ...{ lost: ends.near.sent - ends.far.received, retried: nearNow.sent },
        ...{ socket: farNow.received, card: 0, tap: 0 },
      }
      for (const { lost, retried, socket, card, tap } of [towardsGuest, towardsHost]) {
        // A full send queue counts as an error whether the datagram is then dropped or sent later.
        const certain = socket + card + tap
        const summary = JSON.stringify({ towardsGuest, towardsHost })
        assert.ok(
          certain <= lost && lost <= certain + retried,
          `losses and their counters differ: ${summary}`,
        )
      }
      return `towards the guest ${JSON.stringify(towardsGuest)}, towards the host ${JSON.stringify(towardsHost)}`
    })
    await test.check('no transmit hang', () => assertNoDisaster(nic))
    await guest.stop()
    await breachesAreDocumented(test, [server])
  },
}

/** `ip` arguments: an entry that needs no ARP. */
function neighbour(address: string, mac: string, device: string): string[] {
  return ['neighbour', 'replace', address, 'lladdr', mac, 'dev', device, 'nud', 'permanent']
}

/** Datagrams that sockets had no room for, from the kernel's own counters. */
async function udpErrors(
  read: (file: string) => Promise<string>,
): Promise<{ sent: number; received: number }> {
  const [names = [], values = []] = (await read('/proc/net/snmp'))
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '))
  const value = (name: string): number => Number(values[names.indexOf(name)])
  return { sent: value('SndbufErrors'), received: value('RcvbufErrors') }
}
