/** Part of linux-cable: the clocks of two cards, kept at one time by linuxptp with the cards' time stamps. */
import assert from 'node:assert/strict'
import type { LinuxNic } from '../harness/linux-nic.ts'
import type { ScenarioContext } from '../harness/scenario.ts'

/** Offsets of the locked slave that are looked at, when as many have gone before: three seconds of each. */
const OFFSETS = 24
/**
 * The middle one of their amounts, nanoseconds. Two cards on a cable stamp a frame at the same moment, so what is left is what
 * ptp4l has still to find out: how long the way is, and how fast the clocks go.
 */
const CLOSE = 5000
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

/** How much faster than the system's clock the card's goes, over a second. */
async function rates(nic: LinuxNic): Promise<string> {
  const measured: string[] = []
  for (const ppb of [FASTER, -FASTER, 0]) {
    const output = await nic.guest.sh(
      `phc_ctl ${nic.name} -- freq ${ppb} && phc_ctl ${nic.name} -- set cmp wait 1.0 cmp`,
    )
    const [before, after] = [...output.matchAll(/offset from CLOCK_REALTIME is (-?\d+)ns/g)].map(([, ns]) =>
      Number(ns),
    )
    assert.ok(before !== undefined && after !== undefined, output)
    // It is the system's time less the card's. In a second and a little the card's lead grows by ppb ns, and a little.
    const lead = before - after
    const [least, most] = [ppb * 0.95, ppb * 1.3].sort((x, y) => x - y)
    assert.ok(lead >= (least ?? 0) - 5e6 && lead <= (most ?? 0) + 5e6, `${ppb} ppb: ${lead} ns\n${output}`)
    measured.push(`${ppb / 1e6} ‰: ${(lead / 1e6).toFixed(1)} ms`)
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
