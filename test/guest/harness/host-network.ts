/** The host's end of a virtual NIC's cable: a network namespace with TAP interfaces in it. */
import { type ChildProcess, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pings } from '../../pings.ts'
import type { FarEndRequest } from '../far-end.ts'
import { privately, programPath } from './debian.ts'
import { event, run, start } from './processes.ts'
import type { ScenarioContext } from './scenario.ts'

export interface InterfaceCounters {
  readonly rxPackets: number
  readonly rxBytes: number
  readonly txPackets: number
  readonly txBytes: number
  readonly dropped: number
}

export class HostNetwork {
  readonly name: string
  /** The first TAP interface. */
  readonly tap: string
  readonly #test: ScenarioContext

  /** Adds a namespace that goes away with the scenario. Nothing in it speaks unasked: no IPv6, no multicast. */
  static async create(test: ScenarioContext, taps: readonly string[] = ['ixytap0']): Promise<HostNetwork> {
    const network = new HostNetwork(test, taps[0] ?? '')
    await network.#ip('netns', 'add', network.name)
    // A signal ends the harness without a clean-up, and an 'exit' handler can't wait.
    const interrupted = (): void => {
      const [program = '', ...args] = network.#ipCommand('netns', 'delete', network.name)
      spawnSync(program, args)
    }
    process.once('exit', interrupted)
    test.cleanup(async () => {
      process.off('exit', interrupted)
      await network.#ip('netns', 'delete', network.name)
    })
    for (const tap of taps) {
      await network.ip('tuntap', 'add', 'dev', tap, 'mode', 'tap')
      await network.exec(['sh', '-c', `echo 1 > /proc/sys/net/ipv6/conf/${tap}/disable_ipv6`])
      await network.ip('link', 'set', tap, 'mtu', '9000', 'up')
    }
    return network
  }

  private constructor(test: ScenarioContext, tap: string) {
    this.#test = test
    this.tap = tap
    this.name = `ixy-guest-${process.pid}-${test.name}`
  }

  /** The command line that runs `command` in the namespace. */
  inside(command: readonly string[]): string[] {
    return this.#ipCommand('netns', 'exec', this.name, ...command)
  }

  async exec(command: readonly string[], seconds = 60): Promise<string> {
    return run(this.inside(command), seconds)
  }

  /** Runs a program of the private Debian tree (ping, iperf3, tcpdump…) in the namespace. */
  async tool(name: string, args: readonly string[], seconds = 60): Promise<string> {
    const { tree } = this.#test.environment
    return this.exec(privately(tree, programPath(tree, name), args), seconds)
  }

  async ping(to: string, options = '-c 20 -i 0.02'): Promise<void> {
    const inside = (program: string, ...args: string[]): Promise<string> =>
      program === 'ping' ? this.tool(program, args) : this.exec([program, ...args])
    await pings(inside, `-q -W 5 ${options}`, to)
  }

  async ip(...args: string[]): Promise<string> {
    return this.#ip('-n', this.name, ...args)
  }

  async #ip(...args: string[]): Promise<string> {
    return run(this.#ipCommand(...args))
  }

  #ipCommand(...args: string[]): string[] {
    const { tree } = this.#test.environment
    return privately(tree, programPath(tree, 'ip'), args)
  }

  /** What the TAP interface has counted. Its receive side is what the NIC has sent. */
  async counters(): Promise<InterfaceCounters> {
    const [link] = JSON.parse(await this.ip('-j', '-s', 'link', 'show', 'dev', this.tap)) as {
      stats64: Record<'rx' | 'tx', { packets: number; bytes: number; dropped: number }>
    }[]
    if (link === undefined) throw new Error(`no ${this.tap}`)
    const { rx, tx } = link.stats64
    return {
      ...{ rxPackets: rx.packets, rxBytes: rx.bytes, txPackets: tx.packets, txBytes: tx.bytes },
      dropped: rx.dropped + tx.dropped,
    }
  }

  /** Starts the process that sends and collects raw frames on a TAP interface. */
  async farEnd(tap = this.tap): Promise<FarEnd> {
    const program = join(this.#test.environment.repository, '.cache/guest/far-end.cjs')
    const { child, stop, output } = start(this.inside([process.execPath, program, tap]), {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#test.cleanup(stop)
    const farEnd = new FarEnd(child, output)
    await farEnd.collect()
    return farEnd
  }
}

export class FarEnd {
  readonly #child: ChildProcess
  readonly #output: () => string

  constructor(child: ChildProcess, output: () => string) {
    this.#child = child
    this.#output = output
  }

  async send(frames: readonly Uint8Array[]): Promise<void> {
    await this.#ask({ type: 'send', frames: frames.map((frame) => Buffer.from(frame).toString('hex')) })
  }

  /** The frames received since the last call. */
  async collect(): Promise<Buffer[]> {
    return (await this.#ask({ type: 'collect' })).map((frame) => Buffer.from(frame, 'hex'))
  }

  async #ask(request: FarEndRequest): Promise<string[]> {
    const answer = event(this.#child, 'message', 10)
    this.#child.send(request)
    try {
      return (await answer) as string[]
    } catch (error) {
      throw new Error(`the far end did not answer: ${this.#output()}`, { cause: error })
    }
  }
}
