/** Where peers are measured: two hosts with what connects them, and what is to be removed afterwards. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addHost, endAll, sh, within } from '../lib/hosts.ts'

const ID = process.pid % 10_000
const RESERVED = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'
/** Of 2 MiB: for two testpmds, or an ixy-ts and its virtual NICs. */
const HUGEPAGES = 512

/** Interfaces have the same names in both hosts. */
export const VETH = 'veth'
/** Where testpmd's and ixy-ts's generators, and the bridge, send to. */
export const TARGET_MAC = '02:00:00:00:00:00'

export class Place {
  /** The sending host, the one with the bridge, the receiving one. */
  readonly hosts = ['a', 'm', 'b'].map((end) => `ixybp-${ID}-${end}`)
  readonly children: ChildProcess[] = []
  readonly folder = mkdtempSync(join(tmpdir(), 'ixy-ts-peers-'))
  readonly hugepages: boolean
  private readonly reservedBefore: string | null

  constructor() {
    this.reservedBefore = existsSync(RESERVED) ? readFileSync(RESERVED, 'utf8').trim() : null
    if (this.reservedBefore !== null && Number(this.reservedBefore) < HUGEPAGES)
      writeFileSync(RESERVED, String(HUGEPAGES))
    this.hugepages = this.reservedBefore !== null && Number(readFileSync(RESERVED, 'utf8')) >= HUGEPAGES
  }

  /** Hosts, and a process in each, by which its counters are read. */
  addHosts(): void {
    for (const host of this.hosts) {
      addHost(host)
      const [program, ...args] = within(host, 'sleep', 'infinity')
      this.keepers.push(spawn(program, args, { stdio: 'ignore' }))
    }
    this.children.push(...this.keepers)
  }

  private readonly keepers: ChildProcess[] = []

  /** Received and sent packets of an interface, as its kernel counts them. */
  counters(host: number, name: string): { rx: number; tx: number } {
    const table = readFileSync(`/proc/${this.keepers[host].pid}/net/dev`, 'utf8')
    const line = table.split('\n').find((row) => row.trim().startsWith(`${name}:`))
    if (line === undefined) throw new Error(`${this.hosts[host]} has no ${name}`)
    // proc_net_dev(5): eight columns of what was received, then eight of what was sent.
    const columns = line.split(':')[1].trim().split(/\s+/).map(Number)
    return { rx: columns[1], tx: columns[9] }
  }

  /** Ends what one measurement has left running. */
  async clear(): Promise<void> {
    await endAll(this.children.filter((child) => !this.keepers.includes(child)))
  }

  async remove(): Promise<void> {
    await endAll(this.children)
    for (const host of this.hosts) sh('sh', '-c', `ip netns del ${host} 2>/dev/null || true`)
    rmSync(this.folder, { recursive: true, force: true })
    if (this.reservedBefore !== null) writeFileSync(RESERVED, this.reservedBefore)
  }
}
