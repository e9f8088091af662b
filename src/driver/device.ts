/**
 * What a network device looks like to an application. Control plane and data plane meet nowhere else:
 *
 * - a `Device` lives in the main thread: set-up, link, statistics, shutdown;
 * - an `RxQueue` and a `TxQueue` live in one worker and move packets. They share nothing with the device but the
 *   rings' memory and doorbells, whose addresses the device hands out as a `QueueSpec`.
 *
 * An application that forwards everything from one port to another:
 *
 *     const batch = new Int32Array(32)
 *     while (running()) {
 *       const received = a.rx.receive(batch, Math.min(32, b.tx.room()))
 *       b.tx.transmit(batch, 0, received)
 *     }
 */

import type { HandoverSpec } from '../linux/handover.ts'
import type { DeviceOffloads } from '../memory/offloads.ts'
import type { Recipe } from './recipe.ts'

/** Receives packets. Lives in one worker. */
export interface RxQueue {
  /** Packets and bytes (without FCS) received since the queue was made, with tags that were taken out. */
  readonly packets: number
  readonly bytes: number
  /** Received, then dropped: no free buffer to take the packet's place in the ring. */
  readonly poolEmpty: number
  /** Received, then dropped: parts of a packet larger than a buffer. */
  readonly fragments: number
  /** Received, then dropped: the device says that they are empty, or longer than the buffer it was given. */
  readonly badLength: number
  /**
   * Puts the ids of up to `limit` packets into `batch[0…]`, no more than the array holds, and returns how many. They are the
   * caller's until freed or transmitted. What stands in the array beyond them, up to `limit`, means nothing.
   *
   * A `limit` that is not a number, or less than 1, is none; a fraction counts as the whole number below it.
   */
  readonly receive: (batch: Int32Array, limit: number) => number
  /** Packets that are in the ring and have not been taken out. For the end of a run: it looks through the whole ring. */
  readonly untaken: () => number
}

/** Sends packets. Lives in one worker. */
export interface TxQueue {
  /** Packets and bytes (without FCS) handed to the card since the queue was made: as they leave, if the card cuts or tags them. */
  readonly packets: number
  readonly bytes: number
  /**
   * Hands `batch[from … from + count - 1]` to the card, in order, as far as the array goes and the ring has room; returns how
   * many. Those now belong to the ring, which gives them back to their pools once they are sent; the rest stays the
   * caller's. Packets too short for the card (below 17 bytes) are filled up with zeros.
   *
   * The caller must own the packets, which only --check looks at: one that is transmitted twice is sent twice,
   * then given away twice. With a `from` that is no index of the array nothing is sent; `count` as `limit` in receive().
   * Throws IXY_ERR_BUFFER, and sends none of them, if one of the ids is no packet's, a packet is longer than its buffer, or what
   * `memory.offloads` says of one can't be done.
   */
  readonly transmit: (batch: Int32Array, from: number, count: number) => number
  /** As transmit(batch, from, 1), and the card notes when that packet leaves (Device.stamps). Left out: it can't. */
  readonly transmitStamped?: ((batch: Int32Array, from: number) => number) | undefined
  /**
   * Frees what the card has sent and returns how many packets transmit() would take now. Throws IXY_ERR_BUFFER if a pool
   * would get more than it ever had, as something has been freed or transmitted twice; the rest is freed.
   */
  readonly room: () => number
  /** As room(), but returns how many packets are not known to be sent yet. */
  readonly pending: () => number
  /**
   * A function that does a step of all `passes` and returns how many packets were received; null if it can't be done for these queues
   * together. It does the same as the calls of the queues that each Pass stands for, faster.
   */
  readonly mover?: (passes: readonly Pass[]) => (() => number) | null
  /** @internal What a step in WebAssembly calls for all of these together; null if it can't call these queues itself. */
  readonly wasmPorts?: (ports: readonly { readonly rx: RxQueue; readonly tx: TxQueue }[]) => WasmPorts | null
  /**
   * @internal A function that makes and sends up to as many packets as it is asked for, a whole number, as far as the ring has room and the
   * pool buffers; it returns how many. null if this queue can't make these.
   */
  readonly generator?: ((recipe: Recipe) => ((wanted: number) => number) | null) | undefined
}

/** @internal Functions that a module may import: of WebAssembly, or of JavaScript. They do what those of the queues do. */
export interface WasmPorts {
  receive(port: number, batch: number, limit: number): number
  room(port: number): number
  transmit(port: number, batch: number, count: number): number
  /** After a step: tells the cards what they have not been told. */
  announce(): void
}

/**
 * What a forwarder does from one queue to another. A step of it:
 *
 *     const received = from.receive(batch, Math.min(most, to.room()))
 *     for (each) data[touched]++
 *     to.transmit(batch, 0, received)
 */
export interface Pass {
  readonly from: RxQueue
  readonly to: TxQueue
  /** Packets per step, at most. */
  readonly most: number
  /** A byte that is incremented in each packet, null: none is. */
  readonly touched: number | null
}

/**
 * One receive/transmit queue pair; can be posted to a worker. There is more in it, which only its driver's half in the
 * worker reads (queues.ts).
 */
export interface QueueSpec {
  /** Name of the driver whose it is. */
  readonly driver: string
  /** Eventfd that counts up when packets have come in; null if the device was opened without interrupts. */
  readonly interrupt: number | null
  /** `interrupt` is no eventfd: it is readable while packets wait to be received, and nobody reads from it but the driver. */
  readonly interruptStays?: boolean
  /** The device is a thread on this machine, which can be off its CPU; left out or null: it works by itself. */
  readonly handover?: HandoverSpec | null
  /** What the device does of offloads itself, if they are on (PacketMemory.offloads); left out: nothing. Software does the rest. */
  readonly offloads?: DeviceOffloads
}

/** Two moments of one packet on the wire: when it left the card, and when it came back. */
export interface StampedPacket {
  /** From the one to the other, nanoseconds by the card's clock. */
  readonly nanoseconds: number
  /** Of the PTP message that came back: its sequence number, and bytes 26 and 27 of its head, part of its source. */
  readonly sequence: number
  readonly source: number
}

/** A card that notes when packets pass its MAC (IEEE 1588): one at a time, each kept until it is taken. */
export interface PacketStamps {
  /**
   * Has the card note when a packet leaves that TxQueue.transmitStamped() has sent, and when a UDP datagram for `port` comes in that
   * begins as a PTP message of `type` does (version 2).
   */
  start(port: number, type: number): void
  /**
   * Takes what has been noted since, so that there is room for the next. null if one of the two is missing. It is for the caller
   * to see whether both are of one packet. Asks the card, which takes some microseconds.
   */
  take(): StampedPacket | null
}

export interface LinkState {
  readonly up: boolean
  /** Mbit/s, 0 while down, or if the device doesn't tell. */
  readonly mbit: number
}

/** Totals since the device was opened, exact up to 2^53. */
export interface DeviceStatistics {
  /** Packets that reached host memory, bytes without FCS. */
  readonly rxPackets: number
  readonly rxBytes: number
  /** Packets that left on the wire, bytes without FCS. */
  readonly txPackets: number
  readonly txBytes: number
  /** Packets the card dropped, by cause. */
  readonly dropped: Readonly<Record<string, number>>
  /** Registers that have been found at their largest value: whatever came after is in none of the above. */
  readonly stuck: readonly string[]
}

export interface Device {
  /** As the user wrote it. */
  readonly name: string
  readonly model: string
  /** `52:54:00:00:00:01` */
  readonly mac: string
  /** One per queue pair. Their rings are enabled and empty. */
  readonly queues: readonly QueueSpec[]
  link(): LinkState
  /** Left out: it notes no times. */
  readonly stamps?: PacketStamps
  /**
   * Whether the link of the device at the other side of the app is up. Asked for while it runs, of devices whose users may see it:
   * the carrier of an interface of the kernel.
   */
  follow?(isUp: boolean): void
  /** Reads the card's counters, which clears them: call it from one place only. */
  statistics(): DeviceStatistics
  /** Lets packets in. Call it once every queue has been attached to and its ring armed. */
  start(): void
  /** Throws IXY_ERR_DEVICE_GONE if the device has vanished. */
  assertAlive(): void
  /** No packet comes in from now on; those already in the rings can still be taken out. Idempotent. */
  stopReceiving(): void
  /** No packet is sent from now on; those left in the rings stay there. The counters of what was sent are final. Idempotent. */
  stopSending(): void
  /** Stops all DMA and gives the device back. The rings' memory may be unmapped afterwards. Idempotent, never throws. */
  close(): void
}
