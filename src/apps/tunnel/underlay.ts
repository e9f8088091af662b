/**
 * What all workers of a tunnel know of the outer network: the MAC addresses of the next hops, and how large packets on the way
 * to each remote end may be. Shared, as an answer comes in at one queue (what is not IP: always at the first) but matters to all.
 *
 * Workers look at `version` once per step, and at the rest when that has changed. Time is counted in ticks of a second, which
 * the first worker makes.
 */
import { MAC_BYTES } from '../../packet/mac.ts'

/** Requests for an address, a second apart, before it is given up. */
const TRIES = 3
/** Seconds after which an address that hasn't been heard of is asked for anew; it stays in use meanwhile. */
const LIFETIME = 60
/** Seconds after which a path that could not carry large packets is tried again (RFC 1191 §6.3, RFC 8201 §5.3). */
const MTU_LIFETIME = 600

const VERSION = 0
const TICK = 1
const FIRST_HOP = 2
const HOP_INTS = 2
const HEARD = 0
const ASKED = 1
const NETWORK_INTS = 2
const MTU = 0
const LOWERED = 1

export class Underlay {
  private readonly hops: number
  private readonly networks: number
  private readonly mtu: number
  /** MAC addresses as numbers; 0: not known. Of the hops, then of the hosts at the inner side. */
  private readonly macs: BigUint64Array
  private readonly ints: Int32Array

  static allocate(hops: number, networks: number): SharedArrayBuffer {
    const peers = hops + networks
    return new SharedArrayBuffer(peers * 8 + (FIRST_HOP + peers * HOP_INTS + networks * NETWORK_INTS) * 4)
  }

  /** `mtu`: that of the outer link. */
  constructor(shared: SharedArrayBuffer, hops: number, networks: number, mtu: number) {
    this.hops = hops
    this.networks = networks
    this.mtu = mtu
    this.macs = new BigUint64Array(shared, 0, hops + networks)
    this.ints = new Int32Array(shared, (hops + networks) * 8)
  }

  /** Changes with everything that the other methods tell. */
  get version(): number {
    return Atomics.load(this.ints, VERSION)
  }

  /** Seconds that the first worker has counted. */
  get tick(): number {
    return Atomics.load(this.ints, TICK)
  }

  /** Writes the MAC address of `hop` to `target[at…]`; false: it isn't known. */
  copyMac(hop: number, target: Uint8Array, at = 0): boolean {
    let mac = Atomics.load(this.macs, hop)
    if (mac === 0n) return false
    for (let i = MAC_BYTES - 1; i >= 0; i--, mac >>= 8n) target[at + i] = Number(mac & 0xffn)
    return true
  }

  /** `hop` has told, or shown, that its MAC address is that at `mac[at…]`. */
  learn(hop: number, mac: Uint8Array, at = 0): void {
    let number = 0n
    for (let i = 0; i < MAC_BYTES; i++) number = (number << 8n) | BigInt(mac[at + i])
    this.setHop(hop, HEARD, this.tick)
    this.setHop(hop, ASKED, 0)
    if (Atomics.exchange(this.macs, hop, number) !== number) this.changed()
  }

  /** The host at the inner side of a network (IP in UDP has no Ethernet header of its own): its number for learn() and copyMac(). */
  hostOf(network: number): number {
    return this.hops + network
  }

  /** A packet for `hop` waits for its MAC address. True: nobody has asked for it, the caller is to. */
  wants(hop: number): boolean {
    return Atomics.compareExchange(this.ints, FIRST_HOP + hop * HOP_INTS + ASKED, 0, 1) === 0
  }

  /** A second is over. To be called by the first worker; `ask` is called for each hop that it is to ask for. */
  everySecond(ask: (hop: number) => void): void {
    Atomics.add(this.ints, TICK, 1)
    for (let hop = 0; hop < this.hops; hop++) this.age(hop, ask)
    for (let network = 0; network < this.networks; network++) {
      const at = this.networkAt(network)
      const mtu = Atomics.load(this.ints, at + MTU)
      if (mtu === 0 || this.tick - Atomics.load(this.ints, at + LOWERED) < MTU_LIFETIME) continue
      Atomics.store(this.ints, at + MTU, 0)
      this.changed()
    }
  }

  /** Largest packet, bytes after the Ethernet header, on the way to the remote end of `network`. */
  mtuOf(network: number): number {
    const lowered = Atomics.load(this.ints, this.networkAt(network) + MTU)
    return lowered === 0 ? this.mtu : lowered
  }

  /** A router on the way to the remote end of `network` can't carry packets of more than `mtu` bytes. */
  lowerMtu(network: number, mtu: number): void {
    const at = this.networkAt(network)
    if (mtu > this.mtuOf(network)) return
    Atomics.store(this.ints, at + LOWERED, this.tick)
    if (mtu === this.mtuOf(network)) return
    Atomics.store(this.ints, at + MTU, mtu)
    this.changed()
  }

  private age(hop: number, ask: (hop: number) => void): void {
    const known = Atomics.load(this.macs, hop) !== 0n
    const asked = Atomics.load(this.ints, FIRST_HOP + hop * HOP_INTS + ASKED)
    const silent = this.tick - Atomics.load(this.ints, FIRST_HOP + hop * HOP_INTS + HEARD)
    if (known ? silent < LIFETIME : asked === 0) return
    if (asked < TRIES) {
      this.setHop(hop, ASKED, asked + 1)
      ask(hop)
      return
    }
    // The next packet for it begins anew.
    this.setHop(hop, ASKED, 0)
    if (Atomics.exchange(this.macs, hop, 0n) !== 0n) this.changed()
  }

  private setHop(hop: number, field: number, value: number): void {
    Atomics.store(this.ints, FIRST_HOP + hop * HOP_INTS + field, value)
  }

  private networkAt(network: number): number {
    return FIRST_HOP + (this.hops + this.networks) * HOP_INTS + network * NETWORK_INTS
  }

  private changed(): void {
    Atomics.add(this.ints, VERSION, 1)
  }
}

/** Seconds that a packet waits for a MAC address at most: as long as it is asked for. */
export const PATIENCE = TRIES + 1
