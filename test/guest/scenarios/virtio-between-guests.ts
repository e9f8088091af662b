/** ixy-ts in one guest with two virtio cards, Linux's virtio_net in two others, and cables between them. */
import assert from 'node:assert/strict'
import { RunningIxy, nothingDropped } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario } from '../harness/scenario.ts'
import { guestToGuest } from '../harness/tcp.ts'

const LINUX = ['10.77.10.1', '10.77.10.2'] as const
const CARDS = ['0000:00:05.0', '0000:00:06.0'] as const
const MEGABYTES = 20

export const virtioBetweenGuests: Scenario = {
  name: 'virtio-between-guests',
  deadline: 240,
  async run(test) {
    const cable = (i: number, server: 'on' | 'off'): string =>
      `stream,id=net${i},server=${server},addr.type=unix,addr.path=${test.socket(`cable${i}`)}`
    // The forwarder listens, so it comes first.
    const forwarder = await test.boot({
      name: `${test.name}-forwarder`,
      devices: CARDS.flatMap((address, i) => [
        ...['-netdev', cable(i, 'on')],
        ...['-device', `virtio-net-pci,netdev=net${i},addr=${address.slice(8, 10)},romfile=`],
      ]),
    })
    const linux = await Promise.all(
      LINUX.map(async (address, i) => {
        const guest = await test.boot({
          name: `${test.name}-linux${i}`,
          devices: ['-netdev', cable(i, 'off'), '-device', `virtio-net-pci,netdev=net${i},romfile=`],
          cpus: 1,
          megabytes: 768,
        })
        await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load virtio_net', 90)
        const nic = new LinuxNic(guest)
        await nic.up(`${address}/24`)
        return nic
      }),
    )
    const [first, second] = linux
    assert.ok(first !== undefined && second !== undefined, 'two Linux guests')
    await hugePages(forwarder)
    const running = await RunningIxy.start(forwarder, `forward ${CARDS.join(' ')}`)
    await test.check('Linux reaches Linux through the forwarder', () => first.ping(LINUX[1]))
    await test.check(`${MEGABYTES} MB over TCP, Linux - forwarder - Linux`, () =>
      guestToGuest(first.guest, second.guest, LINUX[1], MEGABYTES),
    )
    await test.check('and back', () => guestToGuest(second.guest, first.guest, LINUX[0], MEGABYTES))
    await test.check('SIGINT: exit 0, nothing dropped by the driver', async () => {
      const { code, output } = await running.stop()
      assert.equal(code, 0, output)
      return nothingDropped(output)
    })
    for (const nic of linux)
      await test.check(`${nic.guest.name}: no transmit hang`, () => assertNoDisaster(nic))
  },
}

async function hugePages(guest: Guest): Promise<void> {
  await guest.sh(
    `echo 16 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
     mount -t hugetlbfs hugetlbfs /dev/hugepages`,
  )
}
