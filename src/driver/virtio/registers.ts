/**
 * The registers of a virtio network card. Each has a width of its own and answers no other: a 32-bit read at config_msix_vector
 * takes num_queues along, and reads it as 0. Offsets are within their structure; capabilities tell where that is.
 */
import { IxyError } from '../../errors.ts'
import type { ReadableBar, RegisterWindow } from '../../pci/transport.ts'

export interface VirtioRegister {
  readonly name: string
  readonly offset: number
  readonly width: 8 | 16 | 32
  /** RC: reading clears it. */
  readonly access: 'RO' | 'RW' | 'WO' | 'RC'
  /** Of virtio 1.2, without the §. */
  readonly section: string
  readonly description: string
  /** Bits with a name, as masks. */
  readonly flags: Readonly<Record<string, number>>
}

type Table = Readonly<Record<string, VirtioRegister>>

/** Device status (§2.1). */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 0x40,
  FAILED: 0x80,
} as const

/** A queue without interrupt (§4.1.4.3). */
export const NO_VECTOR = 0xffff

type Row = readonly [
  offset: number,
  width: 8 | 16 | 32,
  access: VirtioRegister['access'],
  description: string,
  flags?: Readonly<Record<string, number>>,
]

function table<Name extends string>(
  section: string,
  rows: Readonly<Record<Name, Row>>,
): Readonly<Record<Name, VirtioRegister>> {
  const entries = Object.entries<Row>(rows).map(
    ([name, [offset, width, access, description, flags = {}]]) => [
      name,
      { name, offset, width, access, section, description, flags },
    ],
  )
  return Object.fromEntries(entries) as Record<Name, VirtioRegister>
}

const ISR = { QUEUE: 1, CONFIGURATION: 2 } as const

/** Common configuration structure. What follows queue_select is of the queue that it selects. */
export const COMMON = table('4.1.4.3', {
  device_feature_select: [0, 32, 'RW', 'which 32 bits device_feature shows'],
  device_feature: [4, 32, 'RO', 'features that the device offers'],
  driver_feature_select: [8, 32, 'RW', 'which 32 bits driver_feature takes'],
  driver_feature: [12, 32, 'RW', 'features that the driver has accepted'],
  config_msix_vector: [16, 16, 'RW', 'MSI-X vector for changes of the configuration'],
  num_queues: [18, 16, 'RO', 'queues that the device has'],
  device_status: [20, 8, 'RW', 'how far initialisation is', STATUS],
  config_generation: [21, 8, 'RO', 'changes when the configuration does'],
  queue_select: [22, 16, 'RW', 'queue that the registers below are of'],
  queue_size: [24, 16, 'RW', 'descriptors of the queue, 0: there is no such queue'],
  queue_msix_vector: [26, 16, 'RW', 'MSI-X vector of the queue'],
  queue_enable: [28, 16, 'RW', 'the device works on the queue', { ENABLED: 1 }],
  queue_notify_off: [30, 16, 'RO', 'place of its doorbell, in multipliers'],
  queue_desc_lo: [32, 32, 'RW', 'address of the descriptors'],
  queue_desc_hi: [36, 32, 'RW', 'the same, upper half'],
  queue_driver_lo: [40, 32, 'RW', "address of the driver's area (available ring)"],
  queue_driver_hi: [44, 32, 'RW', 'the same, upper half'],
  queue_device_lo: [48, 32, 'RW', "address of the device's area (used ring)"],
  queue_device_hi: [52, 32, 'RW', 'the same, upper half'],
})
/** What of it there has been since virtio 1.0. */
export const COMMON_BYTES = 56

export const ISR_STATUS = table('4.1.4.5', {
  isr_status: [0, 8, 'RC', 'cause of an interrupt without MSI-X', ISR],
})

/** Registers of before virtio 1.0, in BAR0; behind them, at legacyNetAt(), those of the network card. */
export const LEGACY = table('4.1.4.10', {
  device_features: [0, 32, 'RO', 'features that the device offers'],
  driver_features: [4, 32, 'RW', 'features that the driver has accepted'],
  queue_address: [8, 32, 'RW', 'address of the queue / 4096, 0: not in use'],
  queue_size: [12, 16, 'RO', 'descriptors of the queue, 0: there is no such queue'],
  queue_select: [14, 16, 'RW', 'queue that queue_address and queue_size are of'],
  queue_notify: [16, 16, 'WO', 'doorbell of all queues'],
  device_status: [18, 8, 'RW', 'how far initialisation is', STATUS],
  isr_status: [19, 8, 'RC', 'cause of an interrupt without MSI-X', ISR],
})
/** There only while MSI-X is enabled. */
export const LEGACY_MSIX = table('4.1.4.10', {
  config_msix_vector: [20, 16, 'RW', 'MSI-X vector for changes of the configuration'],
  queue_msix_vector: [22, 16, 'RW', 'MSI-X vector of the queue'],
})

export function legacyNetAt(msixEnabled: boolean): number {
  return msixEnabled ? 24 : 20
}

/** Configuration of a network card. Most fields mean something only if their feature was negotiated. */
export const NET = table('5.1.4', {
  mac_0: [0, 8, 'RO', 'MAC address, first byte (MAC)'],
  mac_1: [1, 8, 'RO', 'MAC address'],
  mac_2: [2, 8, 'RO', 'MAC address'],
  mac_3: [3, 8, 'RO', 'MAC address'],
  mac_4: [4, 8, 'RO', 'MAC address'],
  mac_5: [5, 8, 'RO', 'MAC address'],
  status: [6, 16, 'RO', 'link (STATUS)', { LINK_UP: 1, ANNOUNCE: 2 }],
  max_virtqueue_pairs: [8, 16, 'RO', 'queue pairs that the device has (MQ)'],
  mtu: [10, 16, 'RO', 'largest packet behind the Ethernet header (MTU)'],
  speed: [12, 32, 'RO', 'Mbit/s, 0xffffffff: unknown (SPEED_DUPLEX)'],
  duplex: [16, 8, 'RO', '1: full (SPEED_DUPLEX)'],
})

/** A structure of registers in a BAR. */
export class Structure<Window extends ReadableBar = RegisterWindow> {
  readonly bytes: number
  private readonly window: Window
  private readonly base: number
  private readonly device: string

  /** `bytes` from byte `base` on. `device` is named in errors. */
  constructor(window: Window, base: number, bytes: number, device: string) {
    this.window = window
    this.base = base
    this.bytes = bytes
    this.device = device
  }

  read(register: VirtioRegister): number {
    const at = this.locate(register)
    if (register.width === 8) return this.window.read8(at)
    return register.width === 16 ? this.window.read16(at) : this.window.read32(at) >>> 0
  }

  /** Throws IXY_ERR_REGISTER unless it can be written. */
  write(this: Structure, register: VirtioRegister, value: number): void {
    const at = this.locate(register)
    if (register.access === 'RO' || register.access === 'RC') throw this.misuse(register, 'is read-only')
    if (register.width === 8) this.window.write8(at, value)
    else if (register.width === 16) this.window.write16(at, value)
    else this.window.write32(at, value)
  }

  /** Where it is in the BAR. */
  locate(register: VirtioRegister): number {
    if (!this.has(register)) throw this.misuse(register, `lies beyond its structure of ${this.bytes} bytes`)
    return this.base + register.offset
  }

  has({ offset, width }: VirtioRegister): boolean {
    return offset + width / 8 <= this.bytes
  }

  private misuse({ name, section }: VirtioRegister, how: string): IxyError {
    return new IxyError('IXY_ERR_REGISTER', `${this.device}: ${name} ${how} (virtio 1.2 §${section})`)
  }
}

export type RegisterTable = Table
