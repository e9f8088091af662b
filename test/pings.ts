/**
 * Pings, judged by the replies that the kernel counts. ping itself gives the last one two round trips, and calls lost what comes later, as
 * it does on a busy machine.
 */

/** Runs a command where the pings come from, and returns what it has printed. */
export type RunThere = (...command: string[]) => string | Promise<string>

/** Milliseconds that the last reply may take, from when ping has given up. */
const DEADLINE = 20_000

/** `options` has a `-c`. Resolves with what ping has printed once all replies have come; rejects if they don't, or if there are more. */
export async function pings(run: RunThere, options: string, to: string): Promise<string> {
  const count = Number(/-c (\d+)/.exec(options)?.[1])
  const before = await replies(run, to)
  const output = await run('ping', ...options.split(' '), to)
  const deadline = performance.now() + DEADLINE
  for (;;) {
    const got = (await replies(run, to)) - before
    if (got === count) return output
    if (got > count || performance.now() > deadline)
      throw new Error(`${got} replies to ${count} pings of ${to}\n${output}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Those with a right checksum, to whomever they were. */
async function replies(run: RunThere, to: string): Promise<number> {
  if (to.includes(':'))
    return Number(/^Icmp6InEchoReplies\s+(\d+)/m.exec(await run('cat', '/proc/net/snmp6'))?.[1])
  const lines = (await run('cat', '/proc/net/snmp')).split('\n').filter((line) => line.startsWith('Icmp:'))
  const [names = [], values = []] = lines.map((line) => line.split(' '))
  return Number(values[names.indexOf('InEchoReps')])
}
