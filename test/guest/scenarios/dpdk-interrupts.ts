/**
 * Receive interrupts as DPDK uses them: testpmd only polls, so this is a client of DPDK's libraries of our own, in Node. It
 * sleeps until the card wakes it, in ten rounds of one frame.
 */
import assert from 'node:assert/strict'
import { mixedFrames } from '../harness/ixy-in-guest.ts'
import { PRODUCT_FOLDER } from '../harness/initramfs.ts'
import { until } from '../harness/processes.ts'
import { type DpdkBench, MAC_A, MAC_B } from './dpdk-bench.ts'

const ROUNDS = 10

/**
 * node sleeper.cjs <address of the card>: says "armed <n>", sleeps, says how long and what it found. Offsets are of ABI 25:
 * struct rte_eth_conf (2280 bytes), its intr_conf.rxq (bit 1 at 2272); struct rte_eth_fp_ops, its rxq.data (0) and
 * rx_pkt_burst (16).
 */
const SLEEPER = `
const koffi = require('koffi')
const library = (name) => koffi.load('/lib/x86_64-linux-gnu/librte_' + name + '.so.25')
const [eal, ethdev, mbuf] = ['eal', 'ethdev', 'mbuf'].map(library)
const ok = (what, result) => { if (result < 0) throw new Error(what + ': ' + result) }
const init = eal.func('int rte_eal_init(int, char **)')
const wait = eal.func('int rte_epoll_wait(int, void *, int, int)')
const [configure, receiveQueue, transmitQueue, start, control, enable, disable, stop] = [
  'int rte_eth_dev_configure(uint16_t, uint16_t, uint16_t, void *)',
  'int rte_eth_rx_queue_setup(uint16_t, uint16_t, uint16_t, unsigned int, void *, void *)',
  'int rte_eth_tx_queue_setup(uint16_t, uint16_t, uint16_t, unsigned int, void *)',
  'int rte_eth_dev_start(uint16_t)',
  'int rte_eth_dev_rx_intr_ctl_q(uint16_t, uint16_t, int, int, void *)',
  'int rte_eth_dev_rx_intr_enable(uint16_t, uint16_t)',
  'int rte_eth_dev_rx_intr_disable(uint16_t, uint16_t)',
  'int rte_eth_dev_stop(uint16_t)',
].map((prototype) => ethdev.func(prototype))
const promiscuous = ethdev.func('int rte_eth_promiscuous_enable(uint16_t)')
const pool = mbuf.func('void *rte_pktmbuf_pool_create(const char *, unsigned int, unsigned int, uint16_t, uint16_t, int)')
const free = mbuf.func('void rte_pktmbuf_free_bulk(void *, unsigned int)')
const burstType = koffi.proto('uint16_t Burst(void *, void *, uint16_t)')

const plugins = ['bus_pci', 'net_ixgbe'].flatMap((name) => ['-d', '/lib/x86_64-linux-gnu/librte_' + name + '.so.25'])
const args = ['sleeper', '-l', '0', '--no-telemetry', ...plugins, '-a', process.argv[2]]
ok('rte_eal_init', init(args.length, args))
const conf = Buffer.alloc(2280)
conf.writeUInt32LE(2, 2272)
ok('rte_eth_dev_configure', configure(0, 1, 1, conf))
const packets = pool('packets', 2047, 0, 0, 2176, 0)
ok('rte_eth_rx_queue_setup', receiveQueue(0, 0, 512, 0, null, packets))
ok('rte_eth_tx_queue_setup', transmitQueue(0, 0, 512, 0, null))
ok('rte_eth_dev_start', start(0))
ok('rte_eth_promiscuous_enable', promiscuous(0))
const operations = ethdev.symbol('rte_eth_fp_ops', 'void *')
const burst = koffi.decode(operations, 16, koffi.pointer(burstType))
const queue = koffi.decode(koffi.decode(operations, 0, 'void *'), 0, 'void *')
const THIS_THREAD = -1
ok('rte_eth_dev_rx_intr_ctl_q', control(0, 0, THIS_THREAD, 1, null))
const events = Buffer.alloc(48 * 8)
const found = Buffer.alloc(8 * 32)
for (let round = 0; round < ${ROUNDS}; round++) {
  ok('rte_eth_dev_rx_intr_enable', enable(0, 0))
  require('fs').writeSync(1, 'armed ' + round + '\\n')
  const woken = wait(THIS_THREAD, events, 8, 10000)
  ok('rte_eth_dev_rx_intr_disable', disable(0, 0))
  const count = koffi.call(burst, burstType, queue, found, 32)
  free(found, count)
  require('fs').writeSync(1, 'woken ' + woken + ' for ' + count + '\\n')
}
ok('rte_eth_dev_stop', stop(0))
require('fs').writeSync(1, 'done\\n')
`

/** On the first card, which vfio-pci has. */
export async function receiveInterrupts({ test, guest, farA }: DpdkBench, address: string): Promise<void> {
  await test.check(
    `vfio-pci: ${ROUNDS} frames, each with rests between, are told by receive interrupts`,
    async () => {
      const script = Buffer.from(SLEEPER).toString('base64')
      await guest.sh(
        `echo ${script} | base64 -d >/tmp/sleeper.cjs
       (NODE_PATH=${PRODUCT_FOLDER}/node_modules node --single-threaded /tmp/sleeper.cjs ${address} >/tmp/sleeper.out 2>&1; echo rc $? >>/tmp/sleeper.out) >/dev/null 2>&1 &`,
      )
      const output = (): Promise<string> => guest.sh('cat /tmp/sleeper.out')
      const [frame] = mixedFrames(MAC_B, MAC_A, 1)
      assert.ok(frame !== undefined)
      for (let round = 0; round < ROUNDS; round++) {
        await until(`armed, round ${round}`, 30, async () => {
          const text = await output()
          assert.doesNotMatch(text, /^rc/m, text)
          return text.includes(`armed ${round}\n`)
        })
        await farA.send([frame])
      }
      await until('the end', 30, async () => (await output()).includes('rc '))
      const text = await output()
      assert.match(text, /^done\nrc 0$/m, text)
      assert.equal(text.match(/^woken 1 for 1$/gm)?.length, ROUNDS, text)
    },
  )
}
