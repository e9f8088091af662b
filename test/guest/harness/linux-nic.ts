/** The guest's view of a network interface that Linux's own driver runs. */
import assert from 'node:assert/strict'
import { pings } from '../../pings.ts'
import type { Guest } from './qemu.ts'

export class LinuxNic {
  readonly guest: Guest
  readonly name: string

  constructor(guest: Guest, name = 'eth0') {
    this.guest = guest
    this.name = name
  }

  async mac(): Promise<string> {
    return (await this.guest.sh(`cat /sys/class/net/${this.name}/address`)).trim()
  }

  /** `0000:01:00.0` */
  async pciAddress(): Promise<string> {
    return (await this.guest.sh(`basename $(readlink /sys/class/net/${this.name}/device)`)).trim()
  }

  /** Waits for the carrier. Returns what was waited, in seconds. */
  async waitForLink(seconds = 20): Promise<number> {
    const started = performance.now()
    const link = `/sys/class/net/${this.name}/carrier`
    const script = `i=0; until [ "$(cat ${link} 2>/dev/null)" = 1 ]; do i=$((i + 1)); [ $i -gt ${seconds * 10} ] && exit 1; usleep 100000; done`
    const { code } = await this.guest.shell(script, seconds * 4)
    assert.equal(code, 0, `${this.name} has no carrier after ${seconds} s\n${await this.kernelLog()}`)
    return (performance.now() - started) / 1000
  }

  /** `ip link set up`, an address if given, and the link. */
  async up(address?: string): Promise<number> {
    if (address !== undefined) await this.guest.sh(`ip addr replace ${address} dev ${this.name}`)
    await this.guest.sh(`ip link set ${this.name} up`)
    return this.waitForLink()
  }

  /** `ethtool -S`: the driver's and the card's counters by name. */
  async counters(): Promise<Map<string, number>> {
    const output = await this.guest.sh(`ethtool -S ${this.name}`)
    return new Map(
      [...output.matchAll(/^\s+(\S+): (\d+)$/gm)].map(([, name = '', value]) => [name, Number(value)]),
    )
  }

  async ping(to: string, options = '-c 20 -i 0.02', seconds = 60): Promise<void> {
    await pings((...command) => this.guest.sh(command.join(' '), seconds), `-q -W 5 ${options}`, to)
  }

  /** The lines of the kernel log, newest last, at or above a severity (0 emergency … 7 debug). */
  async kernelLog(severity = 7): Promise<string> {
    const lines = (await this.guest.sh('dmesg -r')).split('\n')
    return lines.filter((line) => Number(/^<(\d+)>/.exec(line)?.[1] ?? 8) % 8 <= severity).join('\n')
  }
}

/** What a driver says when its card does not transmit, or the kernel when something broke. */
const DISASTERS =
  /Tx (Unit )?[Hh]ang|transmit queue .* timed out|NETDEV WATCHDOG|BUG:|\bOops\b|Call Trace|general protection/

export async function assertNoDisaster(nic: LinuxNic): Promise<void> {
  const log = await nic.kernelLog()
  assert.doesNotMatch(
    log,
    DISASTERS,
    log
      .split('\n')
      .filter((line) => DISASTERS.test(line))
      .join('\n'),
  )
}
