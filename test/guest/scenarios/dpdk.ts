/** The model, judged by DPDK: its testpmd on virtual 82599s, by uio_pci_generic and by VFIO, TAP interfaces at the far ends. */
import assert from 'node:assert/strict'
import { breachesAreDocumented } from '../harness/breaches.ts'
import { ethernet } from '../harness/frames.ts'
import { HostNetwork } from '../harness/host-network.ts'
import { mixedFrames, passes } from '../harness/ixy-in-guest.ts'
import { LinuxNic, assertNoDisaster } from '../harness/linux-nic.ts'
import { type Started, until } from '../harness/processes.ts'
import type { Guest } from '../harness/qemu.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'
import { Testpmd, addTestpmd, bind } from '../harness/testpmd.ts'
import { startVnic, vnicDevice } from '../harness/virtual-nic.ts'
import { type DpdkBench, MAC_A, MAC_B, through } from './dpdk-bench.ts'
import { flowRules } from './dpdk-flows.ts'
import { receiveInterrupts } from './dpdk-interrupts.ts'
import { offloads, receiveSideScaling } from './dpdk-offloads.ts'

const TAPS = ['ixytap0', 'ixytap1']
const HOST = '10.77.9.1'
const GUEST = '10.77.9.2'

export const dpdk: Scenario = {
  name: 'dpdk',
  deadline: 360,
  async run(test) {
    const network = await HostNetwork.create(test, TAPS)
    await network.ip('address', 'add', `${HOST}/24`, 'dev', network.tap)
    const wires = [...TAPS.map((tap) => `tap=${tap}`), 'sink,fault=linkflap=2s/1s']
    const sockets = wires.map((_, i) => test.socket(`nic${i}`))
    const servers: Started[] = []
    for (const [i, wire] of wires.entries()) {
      const socket = sockets[i] ?? ''
      servers.push(
        await startVnic(test, [socket, '--wire', wire], [socket], (command) => network.inside(command)),
      )
    }
    const { environment } = test
    const initramfs = test.socket('initramfs')
    addTestpmd(initramfs, environment.initramfs, environment.tree)
    const guest = await test.boot({
      initramfs,
      devices: [
        '-device',
        'intel-iommu,caching-mode=on',
        ...sockets.flatMap((socket, i) => vnicDevice(socket, i + 1)),
      ],
      // Without VFIO a card is not held back by the IOMMU, as where there is none.
      kernelWords: 'intel_iommu=on iommu=pt',
    })
    const [a = '', b = '', flapping = ''] = await cards(guest, sockets.length)
    await guest.sh(
      // DPDK takes plugins from nowhere that anyone may write to.
      `chmod 755 /; mount -t hugetlbfs hugetlbfs /dev/hugepages; echo 96 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
       load uio_pci_generic && load vfio-pci && load vfio_iommu_type1`,
    )
    const [farA, farB] = [await network.farEnd(TAPS[0]), await network.farEnd(TAPS[1])]
    const bench: DpdkBench = { test, guest, network, farA, farB, both: `-a ${a} -a ${b}` }

    await bind(guest, 'uio_pci_generic', [a, b, flapping])
    await forwarding(bench)
    await severalQueues(bench)
    await offloads(bench)
    await linkChanges(bench, 'uio_pci_generic', `--iova-mode=pa -a ${flapping}`)

    await bind(guest, 'vfio-pci', [a, b, flapping])
    await overVfio(bench, flapping)
    await linkChanges(bench, 'vfio-pci, INTx', `-a ${flapping} --vfio-intr=legacy`)
    await receiveInterrupts(bench, a)
    await test.check('nothing wrong in the kernel log', async () => {
      await assertNoDisaster(new LinuxNic(guest))
      assert.doesNotMatch(await guest.sh('dmesg'), /nobody cared/)
    })
    await guest.stop()
    await breachesAreDocumented(test, servers, { judges: ['DPDK'] })
  },
}

async function cards(guest: Guest, count: number): Promise<string[]> {
  const addresses = (
    await guest.sh(
      'cd /sys/bus/pci/devices; for d in $(grep -l 0x10fb */device | cut -d/ -f1); do echo $d; done',
    )
  )
    .trim()
    .split('\n')
  assert.equal(addresses.length, count, addresses.join(' '))
  return addresses
}

/** Both ways, every frame unchanged and in order. */
async function bothWays({ farA, farB }: DpdkBench, count: number): Promise<void> {
  await passes(farA, farB, mixedFrames(MAC_B, MAC_A, count))
  await passes(farB, farA, mixedFrames(MAC_A, MAC_B, count))
}

async function forwarding(bench: DpdkBench): Promise<void> {
  const { test, guest, network, farA, farB, both } = bench
  let testpmd = await Testpmd.start(guest, `--iova-mode=pa ${both}`)
  await test.check('icmpecho: the host pings testpmd', async () => {
    await testpmd.commands('set fwd icmpecho', 'start')
    await network.ping(GUEST, '-c 200 -i 0.005 -s 1000')
  })
  await test.check('io: 5000 frames of 60 to 1514 bytes each way, both ports', async () => {
    await testpmd.commands('stop', 'set fwd io', 'start')
    await bothWays(bench, 5000)
  })
  await test.check('ports and queues stopped and started, with frames after each', async () => {
    for (let round = 0; round < 2; round++) {
      await testpmd.commands('stop', 'port stop all', 'port start all', 'start')
      await bothWays(bench, 100)
      await testpmd.commands('stop', ...queues('stop'), ...queues('start'), 'start')
      await bothWays(bench, 100)
    }
  })
  await test.check('flow control: set and shown; a PAUSE frame is counted, and no packet', async () => {
    const set = 'set flow_ctrl rx on tx on 400 300 1000 1 mac_ctrl_frame_fwd off autoneg off 0'
    const output = await testpmd.command(set)
    assert.doesNotMatch(output, /error|bad|invalid/i, output)
    const shown = await testpmd.command('show port 0 flow_ctrl')
    for (const line of [/Rx pause: on/, /Tx pause: on/, /Pause time: 0x3e8/]) assert.match(shown, line)
    await testpmd.command('clear port xstats 0')
    await farA.send([ethernet('01:80:c2:00:00:01', MAC_A, 0x8808, Buffer.from([0, 1, 0, 0]))])
    let counters = ''
    await until('the PAUSE frame is counted', 10, async () => {
      counters = await testpmd.command('show port xstats 0')
      return counters.includes('rx_flow_control_xon_packets: 1')
    })
    assert.match(counters, /rx_good_packets: 0\r?\n/)
  })
  await test.check('killed under load with SIGKILL; the next one forwards', async () => {
    const flood = mixedFrames(MAC_B, MAC_A, 1000)
    const sending = (async () => {
      for (let i = 0; i < 5; i++) await farA.send(flood)
    })()
    await until('frames come out', 10, async () => (await farB.collect()).length > 0)
    await testpmd.kill()
    await sending
    testpmd = await Testpmd.start(guest, `--iova-mode=pa ${both}`)
    await testpmd.command('start')
    // Behind what the interface has kept of the flood.
    await through(farA, farB, [ethernet(MAC_B, MAC_A, 0x88b5, Buffer.from('the payload'))], 1)
    await bothWays(bench, 500)
  })
  await testpmd.quit()
}

async function severalQueues(bench: DpdkBench): Promise<void> {
  // It would take the rules away when a port stops.
  const options = '--rxq=4 --txq=4 --forward-mode=rxonly --disable-flow-flush'
  const testpmd = await Testpmd.start(bench.guest, `--iova-mode=pa ${bench.both}`, options)
  await receiveSideScaling(bench, testpmd)
  await flowRules(bench, testpmd)
  await testpmd.quit()
}

const queues = (action: string): string[] =>
  [0, 1].flatMap((port) => ['rxq', 'txq'].map((queue) => `port ${port} ${queue} 0 ${action}`))

async function linkChanges({ test, guest }: DpdkBench, by: string, eal: string): Promise<void> {
  const testpmd = await Testpmd.start(guest, eal)
  await linkGoesAndComes(test, by, testpmd)
  await testpmd.quit()
}

/** The card's cable is out now and then: testpmd learns it from the card's interrupt, nobody asks. */
async function linkGoesAndComes(test: ScenarioContext, by: string, testpmd: Testpmd): Promise<void> {
  await test.check(`${by}: link down and up are interrupts`, async () => {
    const events = async (): Promise<number> =>
      (await testpmd.output()).split('link state change event').length - 1
    const before = await events()
    await until('the link has gone and come', 20, async () => (await events()) >= before + 2)
  })
}

async function overVfio(bench: DpdkBench, flapping: string): Promise<void> {
  const { test, guest, both } = bench
  const testpmd = await Testpmd.start(guest, `${both} -a ${flapping} --vfio-intr=msix`)
  await test.check('vfio-pci: io, 2000 frames each way', async () => {
    await testpmd.command('start')
    await bothWays(bench, 2000)
  })
  await linkGoesAndComes(test, 'vfio-pci, MSI-X', testpmd)
  await testpmd.quit()
}
