/** ixy-ts in the guest on two virtual 82599s, through sysfs and huge pages, with Linux's ixgbe before and after. */
import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { type FarEnd, HostNetwork } from '../harness/host-network.ts'
import { RunningIxy, accessPaths, ixy, mixedFrames, passes } from '../harness/ixy-in-guest.ts'
import { PRODUCT_FOLDER } from '../harness/initramfs.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { type Started, until } from '../harness/processes.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const TAPS = ['ixytap0', 'ixytap1']
const HOST = '10.77.5.1'
const GUEST = '10.77.5.2'
const FRAMES = 20_000

/** Huge pages of 2 MiB in the guest: ixy-ts takes 5 of them, twice after a SIGKILL; the watcher has most of the others. */
const HUGE_PAGES = 32
const SPARE_PAGES = 8

/** node watcher.cjs <name> <spare>: holds all free huge pages but <spare> and watches, until SIGTERM, that nobody else writes there. */
const WATCHER = `
const koffi = require('koffi')
const fs = require('fs')
const [name, spare] = process.argv.slice(2)
const mmap = koffi.load('libc.so.6').func('void *mmap(void *, size_t, int, int, int, int64_t)')
const free = Number(fs.readFileSync('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', 'utf8'))
const pages = free - Number(spare)
const memory = Buffer.from(koffi.view(mmap(null, pages << 21, 3, 0x40022, -1, 0), pages << 21)).fill(0x5a)
const page = Buffer.alloc(1 << 21, 0x5a)
fs.writeFileSync('/tmp/' + name + '.ready', String(pages))
process.on('SIGTERM', () => {
  let changed = 0
  for (let i = 0; i < pages; i++) if (page.compare(memory, i << 21, (i + 1) << 21) !== 0) changed++
  fs.writeFileSync('/tmp/' + name + '.result', changed + ' of ' + pages)
  process.exit(0)
})
setInterval(() => {}, 1000)
`

export const ixySysfs: Scenario = {
  name: 'ixy-sysfs',
  deadline: 300,
  async run(test) {
    const network = await HostNetwork.create(test, TAPS)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const sockets = TAPS.map((tap) => test.socket(tap))
    const servers: Started[] = []
    for (const [i, socket] of sockets.entries()) {
      const args = [socket, '--wire', `tap=${TAPS[i]}`]
      servers.push(await startVnic(test, args, [socket], (command) => network.inside(command)))
    }
    const guest = await test.boot({ devices: sockets.flatMap((socket, i) => vnicDevice(socket, i + 1)) })
    const nic = new LinuxNic(guest)
    const [a, b] = await pciAddresses(guest)

    let macInRegisters = ''
    await test.check(
      '--dump-registers of a card without a driver; not while its registers are switched off',
      async () => {
        const command = `dd of=/sys/bus/pci/devices/${a}/config bs=1 seek=4 conv=notrunc`
        await guest.sh(`printf '\\0\\0' | ${command}`)
        const off = await ixy(guest, `--dump-registers ${a}`)
        assert.equal(off.code, 4, off.output)
        assert.match(off.output, new RegExp(`echo 1 .*${a}/enable.*IXY_ERR_SYSTEM`))
        await guest.sh(`echo 1 >/sys/bus/pci/devices/${a}/enable`)
        const registers = await dumped(guest, a)
        await guest.sh(`echo 0 >/sys/bus/pci/devices/${a}/enable`)
        assert.equal(registers.get('STATUS')?.fields['LINK_UP'], 1)
        const address = Buffer.alloc(8)
        address.writeUInt32LE(registers.get('RAL[0]')?.value ?? 0, 0)
        address.writeUInt32LE(registers.get('RAH[0]')?.value ?? 0, 4)
        macInRegisters = address.toString('hex', 0, 6)
      },
    )
    await test.require("the kernel's ixgbe has both NICs", async () => {
      await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; load ixgbe', 90)
      await guest.sh(`echo ${HUGE_PAGES} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages`)
      await guest.sh('mount -t hugetlbfs hugetlbfs /dev/hugepages')
      assert.equal((await guest.sh('ls /sys/bus/pci/drivers/ixgbe | grep -c ^0000')).trim(), '2')
      assert.equal((await nic.mac()).replaceAll(':', ''), macInRegisters, 'the MAC address in the registers')
    })
    await listed(test, nic, a, b)
    await refusal(test, nic, a, b)
    const far = await Promise.all(TAPS.map((tap) => network.farEnd(tap)))
    await forwards(test, nic, a, b, far)
    await killed(test, nic, a, b, far)
    await test.check('nothing wrong in the kernel log', () => assertNoDisaster(nic))
    await guest.stop()
    await breachesAreDocumented(test, servers)
  },
}

async function pciAddresses(guest: Guest): Promise<[string, string]> {
  const script = 'cd /sys/bus/pci/devices; grep -l 0x10fb */device | cut -d/ -f1'
  const [a, b] = (await guest.sh(script)).trim().split('\n')
  assert.ok(a !== undefined && b !== undefined, 'the guest sees two 82599')
  return [a, b]
}

interface Dumped {
  readonly value: number | null
  readonly fields: Readonly<Record<string, number>>
}

async function dumped(guest: Guest, address: string): Promise<Map<string, Dumped>> {
  const { code, output } = await ixy(guest, `--dump-registers ${address} --json`)
  assert.equal(code, 0, output)
  const lines = output.trim().split('\n')
  return new Map(
    lines
      .map((line) => JSON.parse(line) as Dumped & { name: string })
      .map((register) => [register.name, register]),
  )
}

/** One NIC is up, the other down. */
async function listed(test: ScenarioContext, nic: LinuxNic, a: string, b: string): Promise<void> {
  const { guest } = nic
  await nic.up(`${GUEST}/24`)
  await test.check(
    'ixy-ts devices lists both: driver, link, NUMA node, IOMMU group, usable or why not',
    async () => {
      const { code, output } = await ixy(guest, 'devices --json')
      assert.equal(code, 0, output)
      const facts = output
        .trim()
        .split('\n')
        .map((line) => {
          const nic = JSON.parse(line) as Record<string, unknown>
          return [
            nic['address'],
            nic['driver'],
            nic['interfaces'],
            nic['linkMbit'],
            nic['numaNode'],
            nic['iommuGroup'],
            nic['usable'],
            nic['reason'],
          ]
        })
      const message = `the kernel uses ${a}: its interface ${nic.name} is up; take it down (sudo ip addr flush dev ${nic.name}; sudo ip link set ${nic.name} down) or use --force`
      assert.deepEqual(facts, [
        [a, 'ixgbe', [nic.name], 10000, -1, null, false, { code: 'IXY_ERR_DEVICE_IN_USE', message }],
        [b, 'ixgbe', ['eth1'], null, -1, null, true, null],
      ])
    },
  )
  await test.check(
    '--dump-registers of a card that ixgbe drives: refused by the kernel, and said so',
    async () => {
      const { code, output } = await ixy(guest, `--dump-registers ${a}`)
      assert.equal(code, 3, output)
      assert.match(output, /IXY_ERR_DEVICE_IN_USE/)
      assert.match(output, /CONFIG_IO_STRICT_DEVMEM/)
      await nic.ping(HOST, '-c 3 -i 0.1')
    },
  )
}

async function refusal(test: ScenarioContext, nic: LinuxNic, a: string, b: string): Promise<void> {
  const { guest } = nic
  await test.check('a NIC in use is refused', async () => {
    const { code, output } = await ixy(guest, `forward ${a} ${b} --access sysfs --duration 1`)
    assert.equal(code, 3, output)
    assert.match(output, /IXY_ERR_DEVICE_IN_USE/)
    await nic.ping(HOST, '-c 3 -i 0.1')
  })
  await test.check(
    'and taken with --force; through sysfs without being told, as there is no IOMMU',
    async () => {
      const { code, output } = await ixy(guest, `forward ${a} ${b} --duration 1 --force --json`)
      assert.equal(code, 0, output)
      assert.deepEqual(accessPaths(output), ['sysfs', 'sysfs'])
      await boundAgain(nic, a)
    },
  )
}

/** After ixy-ts has ended: the kernel driver is back, its interface too, and it works. */
async function boundAgain(nic: LinuxNic, address: string): Promise<void> {
  const driver = await nic.guest.sh(`readlink /sys/bus/pci/devices/${address}/driver`)
  assert.match(driver, /\/ixgbe$/m)
  const name = (await nic.guest.sh(`ls /sys/bus/pci/devices/${address}/net`)).trim()
  const back = new LinuxNic(nic.guest, name)
  await back.up(`${GUEST}/24`)
  await back.ping(HOST, '-c 5 -i 0.1')
  await nic.guest.sh(`ip addr flush dev ${name}; ip link set ${name} down`)
}

async function forwards(
  test: ScenarioContext,
  nic: LinuxNic,
  a: string,
  b: string,
  [farA, farB]: readonly FarEnd[],
): Promise<void> {
  if (farA === undefined || farB === undefined) throw new Error('two far ends')
  const running = await RunningIxy.start(nic.guest, `forward ${a} ${b} --access sysfs`)
  const frames = mixedFrames('02:00:00:00:00:0b', '02:00:00:00:00:0a', FRAMES)
  await test.check(`${FRAMES} frames of 60 to 1514 bytes, a to b`, () => passes(farA, farB, frames))
  await test.check('and b to a', () => passes(farB, farA, frames.slice(0, 2000)))
  await test.check('SIGINT: exit 0, the kernel driver is back, its interface pings', async () => {
    const { code, output } = await running.stop()
    assert.equal(code, 0, output)
    await boundAgain(nic, a)
  })
}

/** Keeps huge pages from everyone else and knows whether they were written to. */
class Watcher {
  readonly #guest: Guest
  readonly #name: string

  static async start(guest: Guest, name: string, spare: number): Promise<Watcher> {
    const script = Buffer.from(WATCHER).toString('base64')
    await guest.sh(
      `echo ${script} | base64 -d >/tmp/watcher.cjs
       NODE_PATH=${PRODUCT_FOLDER}/node_modules node --single-threaded /tmp/watcher.cjs ${name} ${spare} >/tmp/${name}.log 2>&1 &
       echo $! >/tmp/${name}.pid
       until [ -s /tmp/${name}.ready ]; do kill -0 $(cat /tmp/${name}.pid) || { cat /tmp/${name}.log; exit 1; }; usleep 50000; done`,
    )
    return new Watcher(guest, name)
  }

  private constructor(guest: Guest, name: string) {
    this.#guest = guest
    this.#name = name
  }

  /** Asserts that no page was written to. */
  async finish(): Promise<string> {
    const files = `/tmp/${this.#name}`
    const wait = `until [ -s ${files}.result ]; do usleep 50000; done; cat ${files}.result`
    const result = (await this.#guest.sh(`kill -TERM $(cat ${files}.pid); ${wait}`)).trim()
    assert.match(result, /^0 of [1-9]\d*$/, `pages changed that nobody but the watcher had: ${result}`)
    return result
  }
}

async function killed(
  test: ScenarioContext,
  nic: LinuxNic,
  a: string,
  b: string,
  [farA, farB]: readonly FarEnd[],
): Promise<void> {
  if (farA === undefined || farB === undefined) throw new Error('two far ends')
  const { guest } = nic
  const frames = mixedFrames('02:00:00:00:00:0b', '02:00:00:00:00:0a', 1000)
  const first = await RunningIxy.start(guest, `forward ${a} ${b} --access sysfs`)
  const left = `ixy-ts-${first.pid}-`
  // At most a window is under way: the rest of the ring is still the card's when its driver dies.
  let dead = false
  const load = (async () => {
    for (let sent = 100, out = 0; !dead; sent += 100) {
      await farA.send(frames.slice(0, 100))
      while (!dead && out < sent) out += (await farB.collect()).length
    }
  })()
  await setTimeout(500)
  await first.stop('KILL')
  dead = true
  await load

  const sums = `cat /dev/hugepages/${left}* | md5sum`
  const watcher = await Watcher.start(guest, 'watcher', SPARE_PAGES)
  await test.check(
    'SIGKILL under load: the card goes on writing, into files of the dead process and nowhere else',
    async () => {
      const before = await guest.sh(sums)
      for (let round = 0; round < 4; round++) await farA.send(frames.slice(0, 200))
      await until('the card writes', 10, async () => (await guest.sh(sums)) !== before)
    },
  )
  await test.check('the next start resets the card, removes those files and forwards', async () => {
    assert.notEqual(await guest.sh(`ls /dev/hugepages | grep -c ^${left}`), '0\n')
    const again = await RunningIxy.start(guest, `forward ${a} ${b} --access sysfs`)
    assert.equal((await guest.shell(`ls /dev/hugepages | grep -c ^${left}`)).output, '0\n')
    const heir = await Watcher.start(guest, 'heir', 0)
    await passes(farA, farB, frames)
    const inherited = await heir.finish()
    const { code, output } = await again.stop()
    assert.equal(code, 0, output)
    return `pages changed that had been the dead process's or free: ${inherited}`
  })
  await test.check(
    'and gives both cards back to the kernel driver, from which the dead process had taken them',
    async () => {
      assert.match(await guest.sh(`readlink /sys/bus/pci/devices/${b}/driver`), /\/ixgbe$/m)
      await boundAgain(nic, a)
    },
  )
  await test.check('nothing else was written to in all of this', () => watcher.finish())
}
