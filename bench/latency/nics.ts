/**
 * A process with two virtual NICs behind sockets whose wires measure. Tells its parent when it listens, and what it
 * measured when it has.
 */
import { VirtualNic } from '../../src/vnic/nic.ts'
import { runLoop } from '../../src/vnic/poll-loop.ts'
import { Ledger } from '../../src/vnic/wires/ledger.ts'
import { type Shares, type Stall, StallBook, Threads } from '../lib/stalls.ts'
import { TimeBook, TimedWire } from '../lib/timed-wire.ts'

export type FromNics =
  | 'listening'
  | {
      readonly counts: number[]
      /** Frames that found no descriptor, from the first one on. */
      readonly missed: number
      readonly shares: Shares
      /** How many packets' pauses of more than a millisecond there were, and the longest. */
      readonly stallCount: number
      readonly stalls: readonly Stall[]
      /** Mean time from one poll of a NIC to its next, microseconds. */
      readonly pollMicroseconds: number
    }

/** Milliseconds for frames to come out after the measurement. */
const SLACK = 200
/** Before packets count, for so many milliseconds it shows which thread polls. */
const SETTLED = 500

/** `rate`: packets per second and port; `warmUp` and `duration`: milliseconds. */
function main(sockets: readonly string[], rate: number, warmUp: number, duration: number): void {
  const tell = (message: FromNics): void => void process.send?.(message)
  const ledger = new Ledger()
  const book = new TimeBook(sockets.length, warmUp, duration)
  const stop = new AbortController()
  const nics = sockets.map((socket, i) => {
    const mac = Uint8Array.of(0x02, 0x82, 0x59, 0, 0, i)
    return new VirtualNic({ name: socket, mac, wire: new TimedWire(book, i, rate, ledger), strict: true })
  })
  nics.forEach((nic, i) => nic.listen(sockets[i]))
  process.on('disconnect', () => stop.abort())
  let forwarder = 0
  let shares: Shares | null = null
  let threads: Threads | null = null
  process.on('message', (pid: number) => (forwarder = pid))
  const look = setInterval(() => {
    if (book.stalls !== null) book.stalls.refresh()
    else if (forwarder > 0 && book.clock.now() > book.from - SETTLED) {
      threads ??= new Threads(forwarder)
      if (book.clock.now() > book.from) book.stalls = new StallBook(threads.busiest(), () => book.clock.now())
    }
    if (book.clock.now() > book.from + duration) shares ??= book.stalls?.shares() ?? null
    if (!book.over(SLACK)) return
    clearInterval(look)
    const { stalls } = book
    if (stalls === null || shares === null) throw new Error('nobody has said who forwards')
    tell({
      shares,
      stallCount: stalls.count,
      stalls: stalls.longest,
      counts: [...book.histogram.counts],
      missed: nics.reduce((sum, _, i) => sum + ledger.tally(i).undelivered, 0),
      pollMicroseconds: (duration * 1000 * nics.length) / book.polls,
    })
  }, 20)
  void runLoop(nics, stop.signal).finally(() => {
    for (const nic of nics) nic.close()
    process.exit()
  })
  tell('listening')
}

const [a, b, rate, warmUp, duration] = process.argv.slice(2)
main([a, b], Number(rate), Number(warmUp), Number(duration))
