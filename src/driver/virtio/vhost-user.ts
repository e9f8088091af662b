/** A card of which nobody has registers: what these would do is said to the back end by message (vhost-user). */
import { IxyError } from '../../errors.ts'
import { signalEventFd } from '../../linux/file.ts'
import {
  NO_FD,
  PROTOCOL_FEATURES,
  encodeU64,
  encodeVringAddr,
  encodeVringState,
} from '../../pci/vhost-user/protocol.ts'
import type { VhostUserTransport } from '../../pci/vhost-user/transport.ts'
import type { Doorbell } from '../../pci/transport.ts'
import { FEATURES, type Features, featureWord, featuresOf } from './features.ts'
import type { QueueAddresses, VirtioFunction } from './function.ts'
import { NO_VECTOR, STATUS, type VirtioRegister } from './registers.ts'

/**
 * What the back end has a say in. A MAC address, link state and a queue for commands are the front end's business, and here nobody has
 * set any. Packed rings are left out, as our loops for split ones are faster.
 */
const OF_THE_BACKEND = [FEATURES.MRG_RXBUF, FEATURES.EVENT_IDX, FEATURES.VERSION_1]

/** Receive and transmit. */
const QUEUES = 2
/** virtio 1.2 §2.7 */
const MAX_ENTRIES = 32768

interface StartedQueue {
  readonly size: number
  readonly addresses: QueueAddresses
  readonly kick: number
  readonly call: number | null
}

export class VhostUserFunction implements VirtioFunction {
  readonly legacy = false
  private readonly transport: VhostUserTransport
  private readonly queues = new Map<number, StartedQueue>()
  private state = 0

  constructor(transport: VhostUserTransport) {
    this.transport = transport
  }

  get status(): number {
    return this.state
  }

  /** With DRIVER_OK the queues become the back end's, with 0 they are taken away from it. */
  set status(value: number) {
    const was = this.state
    this.state = value
    if ((value & ~was & STATUS.DRIVER_OK) !== 0) this.handOver()
    else if (value === 0) this.takeBack(was)
  }

  offered(): Features {
    const { features } = this.transport.backend
    const offered = featuresOf(Number(features & 0xffff_ffffn), Number((features >> 32n) & 0xffff_ffffn))
    return new Set(OF_THE_BACKEND.filter((feature) => offered.has(feature)))
  }

  accept(features: Features): void {
    const { backend } = this.transport
    const bits = (BigInt(featureWord(features, 32)) << 32n) | BigInt(featureWord(features, 0))
    backend.tell('SET_FEATURES', encodeU64(bits | (backend.features & PROTOCOL_FEATURES)))
  }

  net({ name }: VirtioRegister): number {
    throw new IxyError('IXY_ERR_INTERNAL', `${this.transport.name} has no ${name}`)
  }

  generation(): number {
    return 0
  }

  queueSize(queue: number): number {
    return queue < QUEUES ? MAX_ENTRIES : 0
  }

  startQueue(queue: number, size: number, addresses: QueueAddresses, vector: number): void {
    const { transport } = this
    const call = vector === NO_VECTOR ? null : transport.interrupt(vector)
    this.queues.set(queue, { size, addresses, kick: transport.createEventFd(), call })
  }

  doorbell(queue: number): Doorbell | null {
    const started = this.queues.get(queue)
    return started === undefined ? null : { kind: 'eventfd', fd: started.kick }
  }

  notify(queue: number): void {
    const started = this.queues.get(queue)
    if (started !== undefined) signalEventFd(started.kick)
  }

  private handOver(): void {
    const { backend } = this.transport
    this.transport.shareMemory()
    for (const [index, { size, addresses, kick, call }] of this.queues) {
      const { descriptors, driver, device } = addresses
      backend.tell('SET_VRING_NUM', encodeVringState(index, size))
      backend.tell('SET_VRING_BASE', encodeVringState(index, 0))
      backend.tell('SET_VRING_ADDR', encodeVringAddr(index, { descriptors, available: driver, used: device }))
      if (call === null) backend.tell('SET_VRING_CALL', encodeU64(BigInt(index | NO_FD)))
      else backend.tell('SET_VRING_CALL', encodeU64(BigInt(index)), [call])
      backend.tell('SET_VRING_KICK', encodeU64(BigInt(index)), [kick])
      if (backend.hasProtocolFeatures) backend.tell('SET_VRING_ENABLE', encodeVringState(index, 1))
    }
  }

  private takeBack(was: number): void {
    if ((was & STATUS.DRIVER_OK) === 0) return
    for (const index of this.queues.keys()) this.transport.backend.stopQueue(index)
    this.queues.clear()
  }
}
