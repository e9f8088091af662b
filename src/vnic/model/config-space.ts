/**
 * PCI configuration space as on the real card (82599 §9.3): function 0 of an X520 with one SFP+ cage.
 *
 * Capabilities: power management 0x40, MSI 0x50, MSI-X 0x70, PCI Express 0xA0. Linux's ixgbe has 0x72, 0xAA and 0xB2
 * hard-coded. The MSI-X table and its pending bits are in BAR4.
 */
const VENDOR_INTEL = 0x8086
/** 82599ES with SFI/SFP+ (82599 §9.3.3.2). */
export const DEVICE_ID = 0x10fb
const SUBSYSTEM_X520 = 0x000c
const CLASS_ETHERNET = 0x020000

export const CONFIG_BYTES = 4096
/** BAR4 with the MSI-X table at 0 and the pending bits at 0x2000. */
export const BAR4_BYTES = 16 * 1024
export const MSIX_VECTORS = 64
export const PBA_OFFSET = 0x2000

const COMMAND = 0x04
const COMMAND_MEMORY = 1 << 1
const COMMAND_MASTER = 1 << 2
const COMMAND_INTX_DISABLE = 1 << 10
const COMMAND_PARITY = 1 << 6
const COMMAND_SERR = 1 << 8
const STATUS = 0x06
/** An interrupt is pending; so also while COMMAND_INTX_DISABLE keeps INTx from being asserted (PCI 3.0 §6.2.3). */
const STATUS_INTERRUPT = 1 << 3
const BAR0 = 0x10
const BAR4 = 0x20

const PM = 0x40
const MSI = 0x50
const MSIX = 0x70
const EXPRESS = 0xa0
const DEVICE_CONTROL = EXPRESS + 0x08
const DEVICE_CONTROL_FLR = 1 << 15
const LINK_CONTROL = EXPRESS + 0x10
const DEVICE_CONTROL2 = EXPRESS + 0x28
/** Extended capabilities: advanced error reporting and the serial number (82599 §9.4). */
const AER = 0x100
const SERIAL = 0x140

export class ConfigSpace {
  private readonly bytes = new Uint8Array(CONFIG_BYTES)
  private readonly view = new DataView(this.bytes.buffer)
  /** Which bits the host may change. */
  private readonly writable = new Uint8Array(CONFIG_BYTES)
  /** Called when the host starts a function level reset (82599 §4.2.1.5). */
  private readonly onReset: () => void
  /** Whether a cause is pending that is not masked. */
  private readonly pending: () => boolean

  constructor(mac: Uint8Array, onReset: () => void, pending: () => boolean) {
    this.onReset = onReset
    this.pending = pending
    this.fill(mac)
    this.allow16(
      COMMAND,
      COMMAND_MEMORY | COMMAND_MASTER | COMMAND_PARITY | COMMAND_SERR | COMMAND_INTX_DISABLE,
    )
    this.writable[0x0c] = 0xff // cache line size
    this.writable[0x3c] = 0xff // interrupt line
    this.allow32(BAR0, ~(512 * 1024 - 1))
    this.allow32(BAR0 + 4, ~0)
    this.allow32(BAR4, ~(BAR4_BYTES - 1))
    this.allow32(BAR4 + 4, ~0)
    this.allow16(PM + 4, 0x1f03) // power state, PME enable, data select
    this.allow16(MSI + 2, 0x0071)
    this.allow32(MSI + 4, ~3)
    this.allow32(MSI + 8, ~0)
    this.allow16(MSI + 12, 0xffff)
    this.allow32(MSI + 16, 1)
    this.allow16(MSIX + 2, 0xc000)
    this.allow16(DEVICE_CONTROL, 0x7fff)
    this.allow16(LINK_CONTROL, 0x01c3)
    this.allow16(DEVICE_CONTROL2, 0x001f)
    for (const mask of [0x08, 0x0c, 0x14]) this.allow32(AER + mask, ~0)
  }

  private fill(mac: Uint8Array): void {
    const { view } = this
    view.setUint16(0x00, VENDOR_INTEL, true)
    view.setUint16(0x02, DEVICE_ID, true)
    view.setUint16(0x06, 0x0010, true) // capabilities list
    view.setUint32(0x08, (CLASS_ETHERNET << 8) | 0x01, true)
    view.setUint32(BAR0, 0x4, true) // 64 bit, not prefetchable
    view.setUint32(BAR4, 0x4, true)
    view.setUint16(0x2c, VENDOR_INTEL, true)
    view.setUint16(0x2e, SUBSYSTEM_X520, true)
    view.setUint8(0x34, PM)
    view.setUint8(0x3d, 1) // INTA#

    view.setUint16(PM, 0x01 | (MSI << 8), true)
    view.setUint16(PM + 2, 0x4823, true) // version 3, PME from D0, D3hot; device specific initialisation
    view.setUint16(PM + 4, 0x2008, true) // no soft reset; data scale 1
    view.setUint16(MSI, 0x05 | (MSIX << 8), true)
    view.setUint16(MSI + 2, 0x0180, true) // 64 bit address, per-vector masking, one vector
    view.setUint16(MSIX, 0x11 | (EXPRESS << 8), true)
    view.setUint16(MSIX + 2, MSIX_VECTORS - 1, true)
    view.setUint32(MSIX + 4, 4, true) // table in BAR4
    view.setUint32(MSIX + 8, PBA_OFFSET | 4, true)
    view.setUint16(EXPRESS, 0x10, true)
    view.setUint16(EXPRESS + 2, 0x0002, true) // version 2, endpoint
    view.setUint32(EXPRESS + 4, 0x10008cc2, true) // 512 byte payload, function level reset
    view.setUint16(DEVICE_CONTROL, 0x2810, true)
    view.setUint32(EXPRESS + 0x0c, 0x00027482, true) // 8 lanes at 5 GT/s
    view.setUint16(EXPRESS + 0x12, 0x1082, true) // link status: 5 GT/s, 8 lanes, slot clock
    view.setUint32(EXPRESS + 0x24, 0x0000001f, true) // completion timeout ranges

    view.setUint32(AER, 0x00010001 | (SERIAL << 20), true)
    view.setUint32(AER + 0x0c, 0x00062010, true)
    view.setUint32(AER + 0x14, 0x00002000, true)
    view.setUint32(SERIAL, 0x00010003, true)
    const serial = [mac[5], mac[4], mac[3], 0xff, 0xff, mac[2], mac[1], mac[0]]
    serial.forEach((byte, i) => view.setUint8(SERIAL + 4 + i, byte))
  }

  private allow16(offset: number, mask: number): void {
    this.writable[offset] = mask & 0xff
    this.writable[offset + 1] = (mask >>> 8) & 0xff
  }

  private allow32(offset: number, mask: number): void {
    this.allow16(offset, mask & 0xffff)
    this.allow16(offset + 2, mask >>> 16)
  }

  /** True while the host lets the device master the bus: no DMA and no MSI otherwise. */
  get busMaster(): boolean {
    return (this.bytes[COMMAND] & COMMAND_MASTER) !== 0
  }

  /** The host doesn't want INTx. MSI and MSI-X are not concerned. */
  get intxDisabled(): boolean {
    return (this.view.getUint16(COMMAND, true) & COMMAND_INTX_DISABLE) !== 0
  }

  private get usesIntx(): boolean {
    return (this.bytes[MSI + 2] & 1) === 0 && (this.bytes[MSIX + 3] & 0x80) === 0
  }

  /** What a function level reset leaves behind: the values after power-on, with the BARs where they were. */
  reset(): void {
    for (let i = 0; i < CONFIG_BYTES; i++) if (i < BAR0 || i >= BAR4 + 8) this.bytes[i] &= ~this.writable[i]
    this.view.setUint16(DEVICE_CONTROL, 0x2810, true)
  }

  /** The caller has checked that the range lies within CONFIG_BYTES. */
  read(offset: number, target: Uint8Array): void {
    target.set(this.bytes.subarray(offset, offset + target.length))
    const status = STATUS - offset
    if (status >= 0 && status < target.length && this.usesIntx && this.pending())
      target[status] |= STATUS_INTERRUPT
  }

  write(offset: number, source: Uint8Array): void {
    for (let i = 0; i < source.length; i++) {
      const at = offset + i
      const mask = this.writable[at]
      this.bytes[at] = (this.bytes[at] & ~mask) | (source[i] & mask)
      if (at === DEVICE_CONTROL + 1 && (source[i] & (DEVICE_CONTROL_FLR >> 8)) !== 0) this.onReset()
    }
  }
}
