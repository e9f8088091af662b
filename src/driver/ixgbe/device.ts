import type { DmaArena, DmaBlock } from '../../memory/arena.ts'
import { ALL_OFFLOADS } from '../../memory/offloads.ts'
import type { Transport } from '../../pci/transport.ts'
import { IxyError, asIxyError } from '../../errors.ts'
import { takeAllSteps } from '../../undo.ts'
import type { Device, DeviceStatistics, LinkState } from '../device.ts'
import type { DeviceOptions } from '../driver.ts'
import { DESCRIPTOR_BYTES } from '../intel/descriptors.ts'
import { enableInterrupts } from './interrupts.ts'
import { readLink, startLink } from './link.ts'
import { hasSerialLink } from './models.ts'
import type { IntelQueueSpec, RingSpec } from '../intel/queues.ts'
import { readMac } from '../intel/mac.ts'
import { startReceiveQueue, startTransmitQueue } from '../intel/queue-setup.ts'
import {
  disableReceive,
  enableReceive,
  initReceive,
  prepareReceiveQueue,
  stopReceiveQueues,
} from './receive.ts'
import { RegisterFile } from '../intel/register-file.ts'
import { initRss } from './rss.ts'
import { type Register, offsetOf } from '../intel/register.ts'
import { REG } from './registers.ts'
import { disableInterrupts, globalReset, stopRequests, waitForDma, waitForEeprom } from './reset.ts'
import { StatisticsReader } from './statistics.ts'
import { hasStamps, IxgbeStamps } from './time-stamps.ts'
import { FETCH, disableTransmit, initTransmit, stopTransmitQueues } from './transmit.ts'

/** The BAR with the registers (82599 §8.1.1). */
export const BAR = 0

/** An 82599 or a relative: from reset to packets, in the order of 82599 §4.6.3. */
export class IxgbeDevice implements Device {
  readonly name: string
  readonly model: string
  readonly mac: string
  readonly queues: readonly IntelQueueSpec[]
  readonly stamps?: IxgbeStamps

  private readonly transport: Transport
  private readonly regs: RegisterFile
  private readonly reader: StatisticsReader
  private readonly warn: (message: string) => void
  private receiving = false
  private sending = true
  private closed = false

  /**
   * Resets and initialises the card. The transport, which the device owns from now on, must have `arena` mapped.
   * Throws IXY_ERR_REGISTER naming register and bit when the card doesn't do as the datasheet says.
   */
  constructor(transport: Transport, arena: DmaArena, options: DeviceOptions) {
    this.transport = transport
    this.name = transport.name
    this.model = options.model.model
    this.warn = options.warn
    const regs = new RegisterFile(transport.bar(BAR), transport.name, '82599')
    this.regs = regs

    disableInterrupts(regs) // §4.6.3.1
    stopRequests(regs, this.warn) // §5.2.5.3.2
    globalReset(regs) // §4.6.3.2
    disableInterrupts(regs)
    waitForEeprom(regs) // §4.6.3 step 3
    waitForDma(regs) // §4.6.3 step 4
    this.mac = readMac(regs, REG)
    if (hasSerialLink(options.model)) startLink(regs) // §4.6.4
    this.reader = new StatisticsReader(regs) // §4.6.5

    initReceive(regs, options.maxFrame) // §4.6.7
    if (options.queues > 1) initRss(regs, options.queues) // §4.6.10.1.1
    initTransmit(regs) // §4.6.8

    const eventfds = options.interrupts ? transport.enableInterrupts(options.queues) : []
    const receive = {
      bufferKib: Math.min(2 ** (options.bufferShift - 10), 16),
      dropEnable: options.queues > 1,
    }
    const { handover = null } = transport
    const queues: IntelQueueSpec[] = []
    for (let queue = 0; queue < options.queues; queue++) {
      const rx = arena.take(options.ringSize * DESCRIPTOR_BYTES)
      const tx = arena.take(options.ringSize * DESCRIPTOR_BYTES)
      prepareReceiveQueue(regs, queue, options.offloads === 'uses')
      startReceiveQueue(regs, REG, queue, rx, receive)
      startTransmitQueue(regs, REG, queue, tx, FETCH)
      queues.push({
        driver: 'ixgbe',
        rx: this.ringSpec(rx, REG.RDT, queue),
        tx: this.ringSpec(tx, REG.TDT, queue),
        interrupt: eventfds[queue] ?? null,
        handover: handover === null ? null : { ...handover, queue },
        offloads: ALL_OFFLOADS,
      })
    }
    this.queues = queues
    if (hasStamps(options.model)) this.stamps = new IxgbeStamps(regs, () => this.link())
    if (options.interrupts) enableInterrupts(regs, options.queues) // §4.6.3.1
  }

  start(): void {
    enableReceive(this.regs, this.warn)
    this.receiving = true
  }

  link(): LinkState {
    return readLink(this.regs)
  }

  statistics(): DeviceStatistics {
    return this.reader.read()
  }

  assertAlive(): void {
    this.transport.assertAlive()
  }

  stopReceiving(): void {
    if (!this.receiving) return
    this.receiving = false
    disableReceive(this.regs)
  }

  stopSending(): void {
    if (!this.sending) return
    this.sending = false
    const { regs, queues } = this
    takeAllSteps([() => stopTransmitQueues(regs, queues.length), () => disableTransmit(regs)])
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    const { transport, regs, queues } = this
    const stopAll = [
      () => this.stopReceiving(),
      () => this.stopSending(),
      () => stopReceiveQueues(regs, queues.length),
      () => stopRequests(regs, this.warn),
    ]
    try {
      transport.assertAlive()
      takeAllSteps(stopAll)
    } catch (error) {
      // One that has vanished can't be shut down; closing the transport, which stops its DMA, is all that is left.
      const { code, message } = asIxyError(error)
      if (code !== 'IXY_ERR_DEVICE_GONE') this.warn(`it doesn't shut down in order: ${message}`)
    }
    transport.close()
  }

  private ringSpec(block: DmaBlock, tail: Register, queue: number): RingSpec {
    const offset = offsetOf(tail, queue)
    const doorbell = this.transport.doorbell(BAR, offset)
    if (doorbell?.kind !== 'memory')
      throw new IxyError(
        'IXY_ERR_DEVICE_UNSUPPORTED',
        `the server of ${this.name} doesn't share the tail registers (${tail.name}[${queue}] at 0x${offset.toString(16)} of BAR${BAR})`,
        'use a server of this program: ixy-ts vnic',
      )
    return {
      address: block.address,
      entries: block.bytes / DESCRIPTOR_BYTES,
      tailPage: doorbell.page,
      tailIndex: doorbell.offset >> 2,
    }
  }
}
