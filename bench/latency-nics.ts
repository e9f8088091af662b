/**
 * A process with two virtual NICs behind sockets whose wires measure. Tells its parent when it listens, and what it
 * measured when it has.
 */
import { VirtualNic } from '../src/vnic/nic.ts'
import { runLoop } from '../src/vnic/poll-loop.ts'
import { Ledger } from '../src/vnic/wires/ledger.ts'
import { TimeBook, TimedWire } from './lib/timed-wire.ts'

export type FromNics =
  | 'listening'
  | {
      readonly counts: number[]
      /** Frames that found no descriptor, from the first one on. */
      readonly missed: number
      /** Mean time from one poll of a NIC to its next, microseconds. */
      readonly pollMicroseconds: number
    }

/** Milliseconds for frames to come out after the measurement. */
const SLACK = 200

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
  const look = setInterval(() => {
    if (!book.over(SLACK)) return
    clearInterval(look)
    tell({
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
