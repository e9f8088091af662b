/**
 * The balance of a run: every frame that was put on the way has one fate, which has a name.
 *
 *     source ── wire ── card ══ host ── app ── host ══ card ── wire ── end
 *       offered   │       │       │              │       │       │   arrived
 *               lost    lost    lost           lost    lost    lost
 *
 * Whoever holds frames at one of these places counts what comes in, what goes on and what is lost there, for itself. So
 * what one has passed on must be what the next has got; what differs is `unaccounted`, and a defect of this program or of
 * the card. Faults make copies: they are frames like any other, and have one fate as well.
 */
import type { NicReport } from '../vnic/child-protocol.ts'
import { framesOf, type Loss } from '../vnic/wires/account.ts'
import type { App } from './app.ts'

/** What was counted at one device, frames since the start. */
export interface PortCounts {
  readonly index: number
  readonly device: string
  /** By the card, as the driver has read them. `dropped`: came, but never reached the host's memory, by cause. */
  readonly card: {
    readonly received: number
    readonly sent: number
    readonly dropped: Readonly<Record<string, number>>
  }
  /** By the workers: taken out of the receive rings, by what became of them, and put into the transmit rings. */
  readonly worker: {
    readonly taken: number
    readonly dropped: Readonly<Record<string, number>>
    /** Left in the receive rings. */
    readonly untaken: number
    /** Taken by the app, and not passed on by its filter. */
    readonly filteredOut: number
    readonly queued: number
    /** Left in the transmit rings when the workers ended: the card may still have sent some of them. */
    readonly unsent: number
  }
  /** By the virtual card and the wires in its port; null if it is another card, whose far end nobody here sees. */
  readonly nic: NicCounts | null
}

/** By a virtual card and the wires in its port. */
export type NicCounts = Pick<NicReport, 'card' | 'buffered' | 'account'>

/** Where frames in one direction come from and where they are to go: a device, or the app itself (pktgen). */
export interface End {
  readonly device: string
  /** null: the app. */
  readonly index: number | null
}

export interface Balance {
  readonly from: End
  readonly to: End
  /** Put on the way, `returned` included. */
  readonly offered: number
  /** Of these, sent back by a loop: they were offered in the other direction before. */
  readonly returned: number
  /** Made by faults on the way. */
  readonly copies: number
  /** How often a fault on the way has changed a frame; it went on. */
  readonly corrupted: number
  readonly arrived: number
  /** Held by a wire when the run ended. */
  readonly underWay: number
  readonly lost: readonly Loss[]
  /** Not passed on by the app, as it was told so. */
  readonly filteredOut: number
  /** offered + copies - arrived - lost - filteredOut - underWay, added up without sign over the places where it isn't 0. */
  readonly unaccounted: number
}

/** What a direction gathers on its way. */
class Path {
  readonly lost: Loss[] = []
  filteredOut = 0
  copies = 0
  corrupted = 0
  underWay = 0
  unaccounted = 0

  lose(place: string, causes: Readonly<Record<string, number>>): number {
    let sum = 0
    for (const [cause, frames] of Object.entries(causes)) {
      if (frames > 0) this.lost.push({ place, cause, frames })
      sum += frames
    }
    return sum
  }

  /** What happens to frames on a wire, as far as that changes their number; returns by how much it grows. */
  pass(way: { copies: number; corrupted: number; held: number; lost: readonly Loss[] }): number {
    this.copies += way.copies
    this.corrupted += way.corrupted
    this.underWay += way.held
    for (const loss of way.lost) this.lost.push(loss)
    return way.copies - way.held - framesOf(way.lost)
  }

  sums(): Omit<Balance, 'from' | 'to' | 'offered' | 'returned' | 'arrived'> {
    const { copies, corrupted, underWay, lost, filteredOut, unaccounted } = this
    return { copies, corrupted, underWay, lost, filteredOut, unaccounted }
  }

  /** Two who should have counted the same. */
  compare(passedOn: number, got: number): void {
    this.unaccounted += Math.abs(passedOn - got)
  }
}

interface Source {
  readonly offered: number
  readonly returned: number
}

/** From the sources of a wire into the host's memory. */
function intoHost(nic: NicCounts, received: number, path: Path): Source {
  const way = nic.account.in
  const { returned } = way
  const offered = way.offered + returned
  const reachedCard = offered + path.pass(way)
  const { dropped } = nic.card
  // What the host couldn't send belongs to the other direction; what is in the packet buffer now won't reach the host.
  const rx_buffered = dropped['rx_buffered'] + nic.buffered
  const lost = path.lose('card', { ...dropped, tx_invalid: 0, rx_buffered })
  path.compare(reachedCard - lost, received)
  return { offered, returned }
}

/** From what a card has sent to the end of a wire; returns what has arrived there. */
function ontoWire(nic: NicCounts, sent: number, path: Path): number {
  const { out } = nic.account
  path.compare(sent + path.pass(out), out.arrived)
  return out.arrived
}

/** From the source outside to what the workers take out of the rings. */
function receive({ card, worker, nic }: PortCounts, path: Path): Source {
  const source =
    nic === null
      ? { offered: card.received + path.lose('card', { ...card.dropped, tx_refused: 0 }), returned: 0 }
      : intoHost(nic, card.received, path)
  const lost = path.lose('worker', { ...worker.dropped, rx_untaken: worker.untaken })
  path.compare(card.received - lost, worker.taken)
  return source
}

/** What a card has taken from the rings and not sent. */
function notSentBy({ card, nic }: PortCounts): { tx_invalid: number; tx_refused: number } {
  return {
    tx_invalid: nic?.card.dropped['tx_invalid'] ?? 0,
    tx_refused: card.dropped['tx_refused'] ?? 0,
  }
}

/** What is left in the transmit rings in the end: what the workers saw there less what the card has taken after they had looked. */
export function unsentOf(port: PortCounts): number {
  const { card, worker } = port
  const { tx_invalid, tx_refused } = notSentBy(port)
  const taken = card.sent + tx_invalid + tx_refused
  return worker.unsent - Math.min(Math.max(0, taken - (worker.queued - worker.unsent)), worker.unsent)
}

/** From what the workers put into the rings to the end outside; returns what has arrived there. */
function transmit(port: PortCounts, path: Path): number {
  const { card, worker, nic } = port
  const unsent = path.lose('worker', { tx_unsent: unsentOf(port) })
  const notSent = path.lose('card', notSentBy(port))
  path.compare(worker.queued - unsent - notSent, card.sent)
  return nic === null ? card.sent : ontoWire(nic, card.sent, path)
}

/** The direction from `from` to `to`, which are ports, or null for the app itself. */
function direction(app: string, from: PortCounts | null, to: PortCounts | null): Balance {
  const path = new Path()
  const source = from === null ? { offered: to?.worker.queued ?? 0, returned: 0 } : receive(from, path)
  if (from !== null && to !== null) {
    path.filteredOut = from.worker.filteredOut
    path.compare(from.worker.taken - path.filteredOut, to.worker.queued)
  }
  const arrived = to === null ? (from?.worker.taken ?? 0) : transmit(to, path)
  return { from: endOf(app, from), to: endOf(app, to), ...source, ...path.sums(), arrived }
}

/** Of a virtual card whose host is another process: what came to it from the wire, and what it has sent onto the wire. */
export function cardBalance(device: string, index: number, nic: NicCounts): Balance[] {
  const card = { device, index }
  const { rx, tx } = nic.card
  const received = new Path()
  const source = intoHost(nic, rx.packets, received)
  const sent = new Path()
  const arrived = ontoWire(nic, tx.packets, sent)
  return [
    { from: WIRE, to: card, ...source, ...received.sums(), arrived: rx.packets },
    { from: card, to: WIRE, offered: tx.packets, returned: 0, ...sent.sums(), arrived },
  ]
}

const WIRE: End = { device: 'wire', index: null }

function endOf(app: string, port: PortCounts | null): End {
  return port === null ? { device: app, index: null } : { device: port.device, index: port.index }
}

/** What of an app tells where its packets go. */
export type Passage = Pick<App, 'name' | 'passes'>

/** Those of the pairs whose ports are there. */
export function passesOf({ passes = [] }: Passage, ports: number): readonly (readonly [number, number])[] {
  return passes.filter((pair) => pair.every((port) => port < ports))
}

/** The balance of each direction: through the app where it passes everything on; else from it, and to it. */
export function balanceOf(app: Passage, ports: readonly PortCounts[]): Balance[] {
  const passes = passesOf(app, ports.length)
  return [
    ...passes.map(([from, to]) => direction(app.name, ports[from], ports[to])),
    ...ports.flatMap((port, i) => [
      ...(passes.some(([, to]) => to === i) ? [] : [direction(app.name, null, port)]),
      ...(passes.some(([from]) => from === i) ? [] : [direction(app.name, port, null)]),
    ]),
  ]
}
