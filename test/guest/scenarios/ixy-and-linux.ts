/** A cable between ixy-ts on the host and Linux's ixgbe in a guest: pktgen to Linux, TCP from Linux through forward. */
import assert from 'node:assert/strict'
import { HostNetwork } from '../harness/host-network.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { type Started, start, until } from '../harness/processes.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.6.1'
const GUEST = '10.77.6.2'
const PORT = 6000
const PACKETS = 10_000
const RATE = '2kpps'
const MEGABYTES = 5

/** Counts the datagrams of pktgen, whose last four bytes are a sequence number, until SIGTERM. */
const RECEIVER = `
const fs = require('fs')
const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 8 << 20 })
const totals = { received: 0, outOfOrder: 0, sizes: {} }
socket.on('message', (data) => {
  if (data.readUInt32LE(data.length - 4) !== totals.received) totals.outOfOrder++
  totals.received++
  totals.sizes[data.length] = (totals.sizes[data.length] || 0) + 1
})
socket.bind(${PORT}, '${GUEST}', () => fs.writeFileSync('/tmp/receiver.ready', 'ready'))
process.on('SIGTERM', () => {
  console.log(JSON.stringify(totals))
  process.exit(0)
})
`

export const ixyAndLinux: Scenario = {
  name: 'ixy-and-linux',
  deadline: 240,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const sockets = [test.socket('linux'), test.socket('ixy')] as const
    await startVnic(test, sockets, sockets)
    const guest = await test.boot({ devices: vnicDevice(sockets[0]) })
    const nic = new LinuxNic(guest)
    await test.require('ixgbe takes the NIC', async () => {
      await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 90)
      await guest.sh('echo 8388608 > /proc/sys/net/core/rmem_max')
      await guest.sh(`ip addr add ${GUEST}/24 dev ${nic.name}; ip link set ${nic.name} up`)
    })
    const ixy = (...args: string[]): Started => {
      const launcher = `${test.environment.repository}/bin/ixy-ts`
      const started = start(network.inside([process.execPath, launcher, ...args, '--json']))
      test.cleanup(() => started.stop())
      return started
    }
    await generated(test, nic, (mac) =>
      ixy(
        ...['pktgen', `vfio-user:${sockets[1]}`, '--count', String(PACKETS), '--rate', RATE, '--imix'],
        ...['--dst-mac', mac, '--dst-ip', GUEST, '--src-ip', HOST, '--dst-port', String(PORT)],
      ),
    )
    await forwarded(test, nic, network, () =>
      ixy('forward', `vfio-user:${sockets[1]}`, `virtual:tap=${network.tap}`),
    )
    await test.check('no transmit hang, no kernel complaint in all of this', () => assertNoDisaster(nic))
  },
}

async function generated(
  test: ScenarioContext,
  nic: LinuxNic,
  pktgen: (mac: string) => Started,
): Promise<void> {
  const { guest } = nic
  await test.check(
    `pktgen to Linux: ${PACKETS} datagrams of three sizes, each received, in order`,
    async () => {
      await guest.sh(
        `echo ${Buffer.from(RECEIVER).toString('base64')} | base64 -d >/tmp/receiver.cjs
       node --single-threaded /tmp/receiver.cjs >/tmp/receiver.out 2>&1 &
       echo $! >/tmp/receiver.pid
       until [ -s /tmp/receiver.ready ]; do kill -0 $(cat /tmp/receiver.pid) || exit 1; usleep 50000; done`,
      )
      const before = await received(nic)
      const generator = pktgen(await nic.mac())
      assert.equal(await generator.ended, 0, generator.output())
      // The last ones may still be on their way through the guest's kernel.
      await until('ip -s link counts every packet', 10, async () => (await received(nic)) - before >= PACKETS)
      assert.equal((await received(nic)) - before, PACKETS)
      const output = await guest.sh(
        'usleep 500000; kill -TERM $(cat /tmp/receiver.pid); until [ -s /tmp/receiver.out ]; do usleep 50000; done; cat /tmp/receiver.out',
      )
      const totals = JSON.parse(output) as {
        received: number
        outOfOrder: number
        sizes: Record<string, number>
      }
      const { received: count, outOfOrder, sizes } = totals
      assert.deepEqual({ count, outOfOrder }, { count: PACKETS, outOfOrder: 0 }, output)
      // Frames of 60, 566 and 1514 bytes without the 42 bytes of Ethernet, IPv4 and UDP headers.
      assert.deepEqual(Object.keys(sizes), ['18', '524', '1472'])
      return JSON.stringify(sizes)
    },
  )
}

/** Packets that `ip -s link` says were received. */
async function received(nic: LinuxNic): Promise<number> {
  const [link] = JSON.parse(await nic.guest.sh(`ip -j -s link show dev ${nic.name}`)) as {
    stats64: { rx: { packets: number } }
  }[]
  return link?.stats64.rx.packets ?? 0
}

async function forwarded(
  test: ScenarioContext,
  nic: LinuxNic,
  network: HostNetwork,
  forward: () => Started,
): Promise<void> {
  const { guest } = nic
  const forwarder = forward()
  await until('ixy-ts forward starts', 30, () => {
    assert.equal(forwarder.child.exitCode, null, forwarder.output())
    return forwarder.output().includes('"event":"start"')
  })
  await test.check('Linux reaches the TAP through ixy-ts forward', async () => {
    await nic.waitForLink()
    await nic.ping(HOST)
  })
  await test.check(`${MEGABYTES} MB over TCP, Linux to the TAP, with ixgbe's offloads`, async () => {
    const server = await tcpServer(test, network, 'receive')
    await guest.sh(`dd if=/dev/urandom of=/tmp/file bs=1M count=${MEGABYTES} 2>/dev/null`)
    const digest = (await guest.sh(`nc ${HOST} ${PORT} </tmp/file; sha256sum </tmp/file`)).split(' ')[0]
    assert.equal(await server.ended, 0, server.output())
    assert.equal(server.output().trim().split('\n').at(-1), digest)
  })
  await test.check(`and ${MEGABYTES} MB from the TAP to Linux`, async () => {
    const server = await tcpServer(test, network, 'send')
    // At the end of its own input nc would end the connection: a FIFO that is open both ways has no end.
    const script = `mkfifo /run/hold; nc ${HOST} ${PORT} <>/run/hold | sha256sum`
    const digest = (await guest.sh(script)).split(' ')[0]
    assert.equal(await server.ended, 0, server.output())
    assert.equal(server.output().trim().split('\n').at(-1), digest)
  })
  await test.check('SIGINT: exit 0, nothing dropped', async () => {
    forwarder.child.kill('SIGINT')
    assert.equal(await forwarder.ended, 0, forwarder.output())
    const end = /^\{"event":"end".*$/m.exec(forwarder.output())?.[0] ?? '{}'
    const { devices = [] } = JSON.parse(end) as { devices?: { dropped: Record<string, number> }[] }
    assert.equal(devices.length, 2, end)
    for (const { dropped } of devices) assert.deepEqual(Object.values(dropped).filter(Boolean), [], end)
  })
}

/** Takes or sends MEGABYTES over one TCP connection at the far end, then prints their checksum. */
async function tcpServer(
  test: ScenarioContext,
  network: HostNetwork,
  mode: 'send' | 'receive',
): Promise<Started> {
  const program = `
    const { createHash, randomBytes } = require('crypto')
    const digest = (data) => createHash('sha256').update(data).digest('hex')
    const server = require('net').createServer((socket) => {
      const data = []
      server.close()
      if (process.argv[1] === 'send') data.push(randomBytes(${MEGABYTES << 20}))
      for (const chunk of data) socket.end(chunk)
      if (data.length === 0) socket.on('data', (chunk) => data.push(chunk))
      else socket.resume()
      socket.on('close', () => console.log(digest(Buffer.concat(data))))
    })
    server.listen(${PORT}, '${HOST}', () => console.log('listening'))`
  const server = start(network.inside([process.execPath, '-e', program, mode]))
  test.cleanup(() => server.stop())
  await until('the TCP server listens', 10, () => server.output().includes('listening'))
  return server
}
