/** The model, judged by Linux: its unmodified ixgbe driver on one virtual 82599, a TAP interface at the cable's far end. */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'

const HOST = '10.77.0.1'
const GUEST = '10.77.0.2'

/** Names in `ethtool -S` that must stay 0 on an undisturbed link. */
const FAILURES = /error|missed|no_dma|timeout|dropped|_hang|csum_error|alloc_.*failed/

export const linuxIxgbe: Scenario = {
  name: 'linux-ixgbe',
  deadline: 360,
  async run(test) {
    const network = await HostNetwork.create(test)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const socket = test.socket('nic')
    const server = await startVnic(test, [socket, '--wire', `tap=${network.tap}`], [socket], (command) =>
      network.inside(command),
    )
    const guest = await test.boot({ devices: vnicDevice(socket) })
    const nic = new LinuxNic(guest)
    await guest.sh('echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6')

    await probe(test, nic)
    await identity(test, nic)
    await selfTest(test, nic)
    await traffic(test, nic, network)
    await comeAndGo(test, nic)
    await test.check('no transmit hang, no kernel complaint in all of this', () => assertNoDisaster(nic))
    await guest.stop()
    await breachesAreDocumented(test, [server])
  },
}

async function probe(test: ScenarioContext, nic: LinuxNic): Promise<void> {
  const { guest } = nic
  await test.require('ixgbe takes the NIC', async () => {
    await guest.sh('load ixgbe', 60)
    const driver = await guest.sh(`readlink /sys/class/net/${nic.name}/device/driver`)
    assert.match(driver, /\/ixgbe$/m)
    return (await nic.kernelLog()).match(/ixgbe \S+ Multiqueue.*|ixgbe.*MAC: \d.*/g)?.join('; ')
  })
  await test.require('link up at 10 Gbit/s', async () => {
    const seconds = await nic.up(`${GUEST}/24`)
    assert.equal((await guest.sh(`cat /sys/class/net/${nic.name}/speed`)).trim(), '10000')
    assert.match(await nic.kernelLog(), /NIC Link is Up 10 Gbps/)
    return `after ${seconds.toFixed(1)} s`
  })
  await test.check('probe and link without a warning in the kernel log', async () => {
    const address = await nic.pciAddress()
    const complaints = (await nic.kernelLog(4))
      .split('\n')
      .filter((line) => /ixgbe/.test(line) || line.includes(address))
    assert.deepEqual(complaints, [])
    assert.doesNotMatch(
      await nic.kernelLog(),
      /pre-production|EEPROM.*(not valid|invalid)|firmware.*(error|fail)/i,
    )
  })
}

async function identity(test: ScenarioContext, nic: LinuxNic): Promise<void> {
  const { guest } = nic
  await test.check('ethtool -i', async () => {
    const output = await guest.sh(`ethtool -i ${nic.name}`)
    assert.match(output, /^driver: ixgbe$/m)
    assert.match(output, /^firmware-version: 0x[0-9a-f]{8}/m)
    assert.ok(output.includes(`bus-info: ${await nic.pciAddress()}`), output)
    return /^firmware-version: .*$/m.exec(output)?.[0]
  })
  await test.check('ethtool -m reads the SFP+ module', async () => {
    const output = await guest.sh(`ethtool -m ${nic.name}`)
    assert.match(output, /Identifier\s*: 0x03 \(SFP\)/)
    assert.match(output, /10G Ethernet: 10G Base-/)
    return /Vendor name\s*: .*\S/.exec(output)?.[0]
  })
  await test.check('ethtool -e reads the EEPROM', async () => {
    const output = await guest.sh(`ethtool -e ${nic.name}`)
    const bytes = [...output.matchAll(/^0x[0-9a-f]+:\s+((?:[0-9a-f]{2}\s?)+)$/gm)].flatMap(([, row = '']) =>
      row.trim().split(/\s+/),
    )
    assert.ok(bytes.length >= 0x80, output.slice(0, 500))
    assert.ok(new Set(bytes).size > 16, 'almost every byte of the EEPROM is the same')
    return `${bytes.length} bytes`
  })
  await test.check('ethtool -d reads the registers', async () => {
    const output = await guest.sh(`ethtool -d ${nic.name} raw on | wc -c`)
    assert.ok(Number(output.trim()) >= 1139 * 4, output)
    return `${output.trim()} bytes`
  })
  await test.check('what the card does not have is off and can not be switched on', async () => {
    const features = await guest.sh(`ethtool -k ${nic.name}`)
    for (const feature of ['esp-hw-offload', 'macsec-hw-offload'])
      assert.match(features, new RegExp(`^${feature}: off \\[fixed\\]$`, 'm'))
    await guest.sh(`[ ! -e /sys/class/net/${nic.name}/device/sriov_totalvfs ]`)
  })
  await test.check('ethtool -S shows no failure', async () => {
    const counters = await nic.counters()
    assert.ok(
      counters.has('rx_pkts_nic') && counters.has('tx_queue_0_packets'),
      [...counters.keys()].join(' '),
    )
    const failures = [...counters].filter(([name, value]) => FAILURES.test(name) && value > 0)
    assert.deepEqual(failures, [])
  })
}

/** The parts of ixgbe's self-test by the name that ethtool prints. */
const OFFLINE_PARTS = ['Register test', 'Eeprom test', 'Interrupt test', 'Loopback test', 'Link test']

async function selfTest(test: ScenarioContext, nic: LinuxNic): Promise<void> {
  const { guest } = nic
  for (const mode of ['online', 'offline']) {
    const { output } = await guest.shell(`ethtool -t ${nic.name} ${mode}`, 120)
    const parts = mode === 'online' ? ['Link test'] : OFFLINE_PARTS
    for (const part of parts) {
      await test.check(`ethtool -t ${mode}: ${part.toLowerCase()}`, async () => {
        const result = new RegExp(`^${part}.*?\\s(\\d+)\\s*$`, 'm').exec(output)?.[1]
        assert.equal(result, '0', `${output}\n${(await nic.kernelLog(4)).split('\n').slice(-10).join('\n')}`)
      })
    }
  }
  await test.require('the link comes back after the self-test', async () => {
    await nic.waitForLink()
  })
}

async function traffic(test: ScenarioContext, nic: LinuxNic, network: HostNetwork): Promise<void> {
  await test.check('ping from the guest', () => nic.ping(HOST))
  await test.check('ping from the host', () => network.ping(GUEST))
  await test.check('MTU 9000: ping with 8000 bytes, both ways', async () => {
    await nic.guest.sh(`ip link set ${nic.name} mtu 9000`)
    await nic.waitForLink()
    await nic.ping(HOST, '-c 10 -i 0.02 -s 8000 -M do')
    await network.ping(GUEST, '-c 10 -i 0.02 -s 8000 -M do')
    await nic.guest.sh(`ip link set ${nic.name} mtu 1500`)
    await nic.waitForLink()
  })
}

async function comeAndGo(test: ScenarioContext, nic: LinuxNic): Promise<void> {
  const { guest } = nic
  await test.check('interface down and up 20 times', async () => {
    for (let round = 0; round < 20; round++) {
      await guest.sh(`ip link set ${nic.name} down`)
      await nic.up()
    }
    await nic.ping(HOST)
  })
  await test.check('rmmod and insmod', async () => {
    await guest.sh('rmmod ixgbe && load ixgbe', 60)
    await nic.up(`${GUEST}/24`)
    await nic.ping(HOST)
  })
  await test.check('function-level reset', async () => {
    const device = `/sys/bus/pci/devices/${await nic.pciAddress()}`
    await guest.sh(
      `ip link set ${nic.name} down && grep -q flr ${device}/reset_method && echo 1 > ${device}/reset`,
    )
    await nic.up()
    await nic.ping(HOST)
  })
}
