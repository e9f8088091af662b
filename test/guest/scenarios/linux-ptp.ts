/** Part of linux-cable: the clocks of two cards, kept at one time by linuxptp with the cards' time stamps. */
import assert from 'node:assert/strict'
import type { LinuxNic } from '../harness/linux-nic.ts'
import type { ScenarioContext } from '../harness/scenario.ts'

/** Offsets of the locked slave that are looked at: five seconds of them. */
const OFFSETS = 40
/** The middle one of their amounts, nanoseconds: two cards on a cable stamp a frame at the same moment. */
const CLOSE = 1000
/** Parts per billion that the clock is made faster by. */
const FASTER = 100_000_000

/** Eight messages a second each way. A guest under TCG is slow to fetch a stamp. */
const OPTIONS = [
  ...['--logSyncInterval=-3', '--logMinDelayReqInterval=-3', '--logAnnounceInterval=0'],
  ...['--summary_interval=-3', '--tx_timestamp_timeout=2000'],
].join(' ')

export async function ptp(test: ScenarioContext, master: LinuxNic, slave: LinuxNic): Promise<void> {
  await test.check('the driver offers hardware time stamps and a clock', async () => {
    const offer = await slave.guest.sh(`ethtool -T ${slave.name}`)
    for (const line of [/hardware-transmit/, /hardware-receive/, /hardware-raw-clock/, /ptpv2-event/])
      assert.match(offer, line)
  })
  await test.check("the card's clock goes at a second per second, and faster by as much as it is told", () =>
    rates(slave),
  )
  for (const [transport, option] of [
    ['over Ethernet', '-2'],
    ['over UDP', '-4'],
  ] as const) {
    await test.check(`ptp4l ${transport}: the slave locks onto the master`, () =>
      locks(master, slave, option),
    )
  }
}

/** How much faster than the system's clock the card's goes, over two seconds. */
async function rates(nic: LinuxNic): Promise<string> {
  const measured: string[] = []
  for (const ppb of [0, FASTER, -FASTER, 0]) {
    const output = await nic.guest.sh(
      `phc_ctl ${nic.name} -- freq ${ppb} && phc_ctl ${nic.name} -- set cmp wait 2.0 cmp`,
    )
    const [before, after] = [...output.matchAll(/offset from CLOCK_REALTIME is (-?\d+)ns/g)].map(([, ns]) =>
      Number(ns),
    )
    assert.ok(before !== undefined && after !== undefined, output)
    // The offset is the card's clock's lead or lag; in two seconds and a little it grows by 2 * ppb ns, and a little.
    const grown = Math.abs(after - before)
    const expected = Math.abs(ppb) * 2
    assert.ok(grown >= expected * 0.95 && grown <= expected * 1.3 + 5e6, `${ppb} ppb: ${grown} ns\n${output}`)
    if (ppb !== 0)
      measured.push(`${ppb > 0 ? '+' : ''}${ppb / 1e6} ‰: ${((after - before) / 1e6).toFixed(1)} ms`)
  }
  return measured.join(', ')
}

async function locks(master: LinuxNic, slave: LinuxNic, transport: string): Promise<string> {
  const ends = [
    [master, '--serverOnly=1'],
    [slave, '--clientOnly=1'],
  ] as const
  for (const [{ guest, name }, role] of ends) {
    await guest.sh(
      `mkdir -p /var/run; : >/tmp/ptp4l.out; (ptp4l -i ${name} -m ${transport} ${role} ${OPTIONS} >/tmp/ptp4l.out 2>&1; echo ended >>/tmp/ptp4l.out) >/dev/null 2>&1 &`,
    )
  }
  const wait = `end=$(($(date +%s) + 60))
    until [ $(grep -c ' s2 ' /tmp/ptp4l.out) -ge ${2 * OFFSETS} ]; do
      [ $(date +%s) -gt $end ] && break; grep -q '^ended' /tmp/ptp4l.out && break; usleep 200000
    done`
  await slave.guest.sh(wait, 90)
  for (const [{ guest }] of ends)
    await guest.sh('kill $(pidof ptp4l); until grep -q "^ended" /tmp/ptp4l.out; do usleep 20000; done')
  const all = await slave.guest.sh('cat /tmp/ptp4l.out')
  const offsets = [...all.matchAll(/master offset +(-?\d+) s2 /g)].map(([, ns]) => Math.abs(Number(ns)))
  const story = `${all}\nmaster:\n${await master.guest.sh('cat /tmp/ptp4l.out')}`
  assert.ok(offsets.length >= 2 * OFFSETS, story)
  assert.doesNotMatch(story, /timed out while polling for tx timestamp|bad message|missing/)
  const last = offsets.slice(-OFFSETS).sort((a, b) => a - b)
  const middle = last[OFFSETS / 2] ?? Infinity
  assert.ok(middle < CLOSE, `${middle} ns\n${story}`)
  return `offset ${middle} ns in the middle, ${last.at(-1)} ns at most`
}
