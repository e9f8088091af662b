/** iPXE boots Linux from a virtual 82599: DHCP, a script, a kernel and what it starts from by HTTP. Then Linux takes the card. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startBootServer } from '../harness/boot-server.ts'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { buildSmallInitramfs } from '../harness/initramfs.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { QUIET_KERNEL } from '../harness/qemu.ts'
import type { Scenario } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.8.1'
const GUEST = '10.77.8.10'
const MAC = '02:00:00:00:08:0a'
const PAYLOAD = 3_000_000

/** What iPXE runs. The payload is fetched as it is, and stands as /payload in the booted system. */
const bootScript = (url: string): string => `#!ipxe
kernel ${url}/vmlinuz ${QUIET_KERNEL} booted-by=ipxe || poweroff
initrd ${url}/initramfs || poweroff
initrd ${url}/payload /payload mode=644 || poweroff
boot || poweroff
`

export const ipxe: Scenario = {
  name: 'ipxe',
  deadline: 180,
  async run(test) {
    const { tree, modules, repository } = test.environment
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const socket = test.socket('nic')
    const args = [socket, '--wire', `tap=${network.tap}`, '--mac', MAC]
    const server = await startVnic(test, args, [socket], (command) => network.inside(command))

    const initramfs = test.socket('initramfs')
    buildSmallInitramfs(initramfs, { tree, modules, repository }, ['ixgbe'])
    const payload = randomBytes(PAYLOAD)
    const payloadFile = test.socket('payload')
    writeFileSync(payloadFile, payload)
    const boot = await startBootServer(test, network, {
      address: HOST,
      client: GUEST,
      files: {
        'boot.ipxe': bootScript(`http://${HOST}`),
        vmlinuz: { path: tree.kernelImage },
        initramfs: { path: initramfs },
        payload: { path: payloadFile },
      },
    })

    let guest: Awaited<ReturnType<typeof test.boot>> | undefined
    await test.require('iPXE boots Linux over HTTP', async () => {
      guest = await test.boot({
        loader: join(tree.root, 'usr/lib/ipxe/ipxe.lkrn'),
        // SeaBIOS and iPXE write to the serial port.
        devices: ['-machine', 'graphics=off', ...vnicDevice(socket)],
      })
      assert.match(await guest.sh('cat /proc/cmdline'), /booted-by=ipxe/)
    })
    if (guest === undefined) return
    const nic = new LinuxNic(guest)
    await test.check('it got its address by DHCP', () => {
      const log = boot.dhcp.output()
      assert.match(log, /user class: iPXE/)
      assert.match(log, new RegExp(`DHCPACK\\(${network.tap}\\) ${GUEST} ${MAC}`))
    })
    await test.check('3 MB by HTTP have the right SHA-256', async () => {
      assert.equal((await nic.guest.sh('sha256sum </payload')).slice(0, 64), sha256(payload))
    })
    await test.check("Linux's ixgbe takes the card after iPXE, and pings", async () => {
      await nic.guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 60)
      assert.equal(await nic.mac(), MAC)
      await nic.up(`${GUEST}/24`)
      await nic.ping(HOST)
      await assertNoDisaster(nic)
    })
    await guest.stop()
    await breachesAreDocumented(test, [server], { judges: ['iPXE', 'Linux'] })
  },
}

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')
