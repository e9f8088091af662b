/**
 * Our virtio rings against DPDK's back end, without a guest: testpmd, on this machine, passes frames between two vhost-user ports, and
 * at each of them is an ixy-ts.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { libraryPath, privately, programPath } from '../harness/debian.ts'
import { run, start, until } from '../harness/processes.ts'
import type { Scenario, ScenarioContext } from '../harness/scenario.ts'

const FRAMES = 20_000
/** What finds the ring full testpmd drops: a long ring and a low rate survive a pause of a second. */
const RATE = '5kpps'
/** Preloaded, as DPDK refuses plugins in folders that others may write to. */
const PLUGINS = ['librte_mempool_ring', 'librte_net_vhost']

export const dpdkVhost: Scenario = {
  name: 'dpdk-vhost',
  deadline: 120,
  async run(test) {
    const ixy = [process.execPath, join(test.environment.repository, 'bin/ixy-ts')]
    const [sockets, sent, received] = [
      ['a', 'b'].map((port) => test.socket(port)),
      test.socket('in'),
      test.socket('out'),
    ]
    const [a, b] = sockets.map((socket) => `vhost-user:${socket}`)
    await run([...ixy, 'pktgen', `virtual:record=${sent}`, '--imix', '--count', String(FRAMES), '--quiet'])
    for (const backend of ['wasm', 'ts']) {
      const options = ['--backend', backend, '--ring-size', '4096']
      const testpmd = await startTestpmd(test, sockets)
      const sink = start([...ixy, 'forward', b, `virtual:record=${received}`, '--json', ...options])
      test.cleanup(() => sink.stop())
      await until(`a front end at ${b} (${sink.output()})`, 20, () =>
        sink.output().includes('"event":"start"'),
      )
      const replay = `virtual:replay=${sent},rate=${RATE}`
      await run([...ixy, 'forward', replay, a, '--quiet', ...options, '--expect-loss', '0'])
      await until('the last frame', 20, () => framesIn(received).length >= FRAMES)
      sink.child.kill('SIGINT')
      await test.check(`${backend}: ends cleanly`, async () =>
        assert.equal(await sink.ended, 0, sink.output()),
      )
      await test.check(
        `${backend}: ${FRAMES} mixed frames pass through DPDK, each as it was, in order`,
        () => {
          const [before, after] = [framesIn(sent), framesIn(received)]
          assert.equal(after.length, before.length)
          assert.equal(
            after.findIndex((frame, i) => !frame.equals(before[i] ?? Buffer.alloc(0))),
            -1,
          )
        },
      )
      await test.check(`${backend}: DPDK counts the same`, async () => {
        const counts = await testpmd.finish()
        assert.deepEqual(counts, { received: FRAMES, transmitted: FRAMES })
      })
    }
    await test.check('at full speed, what is sent is what DPDK receives', async () => {
      const testpmd = await startTestpmd(test, sockets)
      const output = await run([...ixy, 'pktgen', a, '-d', '3', '--json', '--quiet'])
      const end = JSON.parse(output.trim().split('\n').at(-1) ?? '') as {
        devices: { tx: { packets: number; mpps: number } }[]
      }
      const [{ tx }] = end.devices as [(typeof end.devices)[number]]
      assert.equal((await testpmd.finish()).received, tx.packets)
      return `${tx.mpps.toFixed(2)} Mpps`
    })
  },
}

interface RunningTestpmd {
  /** Ends it; returns what it has counted: received at the first port, transmitted at the second. */
  finish(): Promise<{ received: number; transmitted: number }>
}

async function startTestpmd(test: ScenarioContext, sockets: readonly string[]): Promise<RunningTestpmd> {
  const { tree } = test.environment
  const libraries = libraryPath(tree)
  const preload = [
    ...PLUGINS.map((name) => join(libraries, `${name}.so.25`)),
    join(tree.root, 'usr/libexec/coreutils/libstdbuf.so'),
  ]
  const ports = sockets.flatMap((socket, i) => ['--vdev', `net_vhost${i},iface=${socket}`])
  const eal = [
    '-l',
    '0,1',
    '--no-huge',
    '-m',
    '512',
    '--no-pci',
    '--no-telemetry',
    '--file-prefix',
    test.name,
    ...ports,
  ]
  const options = ['--auto-start', '--total-num-mbufs=8192', '--disable-link-check']
  const command = privately(tree, programPath(tree, 'dpdk-testpmd'), [...eal, '--', ...options])
  const started = start(command, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LD_PRELOAD: preload.join(':'), _STDBUF_O: '0' },
  })
  test.cleanup(() => started.stop())
  await until(`testpmd listens (${started.output()})`, 30, () => {
    if (started.child.exitCode !== null) throw new Error(`testpmd has ended: ${started.output()}`)
    return sockets.every((socket) => existsSync(socket)) && started.output().includes('Press enter to exit')
  })
  return {
    async finish() {
      started.child.stdin?.write('\n')
      await started.ended
      const of = (port: number, what: string): number => {
        const section = new RegExp(`statistics for port ${port} [\\s\\S]*?${what}-packets: (\\d+)`)
        return Number(section.exec(started.output())?.[1] ?? NaN)
      }
      return { received: of(0, 'RX'), transmitted: of(1, 'TX') }
    },
  }
}

/** The frames of a capture, as far as it is written. */
function framesIn(path: string): Buffer[] {
  if (!existsSync(path)) return []
  const file = readFileSync(path)
  const frames: Buffer[] = []
  for (let at = 24; at + 16 <= file.length;) {
    const length = file.readUInt32LE(at + 8)
    if (at + 16 + length > file.length) break
    frames.push(file.subarray(at + 16, at + 16 + length))
    at += 16 + length
  }
  return frames
}
