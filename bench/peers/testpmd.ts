/** DPDK's testpmd, driven by its own prompt. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Count } from './sample.ts'

export const TESTPMD = 'dpdk-testpmd'
/** For a start, and for an answer, ms. */
const DEADLINE = 20_000
const PROMPT = 'testpmd> '

export interface TestpmdSpec {
  readonly name: string
  /** Its main thread sleeps there, and the other forwards. */
  readonly cpu: number
  readonly vdevs: readonly string[]
  readonly options: readonly string[]
  /** Words that run it elsewhere: in a namespace. */
  readonly within?: readonly string[]
  readonly hugepages: boolean
}

export interface PortCounts {
  readonly rx: number
  readonly tx: number
}

export class Testpmd {
  private readonly child: ChildProcess
  private readonly ports: number
  private output = ''

  private constructor(child: ChildProcess, ports: number) {
    this.child = child
    this.ports = ports
    const read = (data: Buffer): void => {
      this.output += data.toString()
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
  }

  /** Resolves when it takes commands. The process is added to `children` at once. */
  static async start(spec: TestpmdSpec, children: ChildProcess[]): Promise<Testpmd> {
    const { cpu, vdevs } = spec
    const eal = [
      ...['--lcores', `0@${cpu},1@${cpu}`, '--no-pci', '--no-telemetry', '-m', '256'],
      ...(spec.hugepages ? ['--in-memory', '--single-file-segments'] : ['--no-huge']),
      ...['--file-prefix', `${spec.name}-${process.pid}`],
      ...vdevs.flatMap((vdev) => ['--vdev', vdev]),
    ]
    const options = ['-i', '--total-num-mbufs=16384', '--txpkts=60', ...spec.options]
    const [program, ...args] = [...(spec.within ?? []), 'stdbuf', '-o0', TESTPMD, ...eal, '--', ...options]
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    children.push(child)
    const testpmd = new Testpmd(child, vdevs.length)
    await testpmd.until((output) => output.includes(PROMPT))
    return testpmd
  }

  /** `needle` has come `times` times. */
  async said(needle: string, times: number): Promise<void> {
    await this.until((output) => output.split(needle).length > times)
  }

  write(command: string): void {
    this.child.stdin?.write(`${command}\n`)
  }

  /** Packets that all ports have sent. */
  async sent(): Promise<Count> {
    const from = this.output.length
    this.write('show port stats all')
    // Each port's statistics end with its rate of sending.
    await this.until((output) => output.slice(from).split('Tx-pps:').length > this.ports)
    const at = performance.now() / 1000
    return { packets: this.parse('NIC statistics', from).reduce((sum, { tx }) => sum + tx, 0), at }
  }

  /** Stops forwarding; what each port has received and sent since its start. */
  async stop(): Promise<PortCounts[]> {
    const from = this.output.length
    this.write('stop')
    await this.until((output) => output.slice(from).includes('Done.'))
    return this.parse('Forward statistics', from)
  }

  async quit(): Promise<void> {
    const ended = once(this.child, 'close')
    this.write('quit')
    await ended
  }

  private parse(title: string, from: number): PortCounts[] {
    return Array.from({ length: this.ports }, (_, port) => {
      const section = new RegExp(`${title} +for port ${port} .*?RX-packets: (\\d+).*?TX-packets: (\\d+)`, 's')
      const match = section.exec(this.output.slice(from))
      if (match === null)
        throw new Error(`no statistics of port ${port} from testpmd: ${this.output.slice(from)}`)
      return { rx: Number(match[1]), tx: Number(match[2]) }
    })
  }

  private async until(holds: (output: string) => boolean): Promise<void> {
    const end = performance.now() + DEADLINE
    while (!holds(this.output)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null || performance.now() > end)
        throw new Error(`testpmd: ${this.output}`)
      await sleep(2)
    }
  }
}
