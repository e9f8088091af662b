/**
 * The SFP+ module in the cage: 10GBASE-SR optics with digital diagnostics (SFF-8472). A0h says what it is, A2h what it
 * measures. Text fields are ASCII, padded with spaces.
 */
/** Serial ID page, SFF-8472 table 4-1. */
function makeIdentity(): Uint8Array {
  const page = new Uint8Array(256)
  page[0] = 0x03 // SFP or SFP+
  page[1] = 0x04 // defined by the serial ID only
  page[2] = 0x07 // LC connector
  page[3] = 0x10 // 10GBASE-SR
  page[11] = 0x06 // 64B/66B
  page[12] = 103 // 10.3 Gbit/s
  page[16] = 8 // 80 m of OM2
  page[17] = 3 // 30 m of OM1
  page[19] = 30 // 300 m of OM3
  putText(page, 20, 16, 'Intel Corp')
  page.set([0x00, 0x1b, 0x21], 37) // Intel's OUI: ixgbe refuses other modules
  putText(page, 40, 16, 'FTLX8571D3BCV-IT')
  putText(page, 56, 4, 'A')
  page[60] = 850 >> 8 // nm
  page[61] = 850 & 0xff
  page[63] = sum(page, 0, 63)
  page[65] = 0x1a // TX_DISABLE, TX_FAULT, LOS
  putText(page, 68, 16, 'VIRTUAL82599')
  putText(page, 84, 8, '250101')
  page[92] = 0x68 // diagnostics, internally calibrated, average power
  page[93] = 0xf0
  page[94] = 0x05 // SFF-8472 revision 11.0
  page[95] = sum(page, 64, 95)
  return page
}

/** Diagnostics page, SFF-8472 table 4-5. Each quantity has alarm and warning limits and a value. */
function makeDiagnostics(): Uint8Array {
  const page = new Uint8Array(256)
  const view = new DataView(page.buffer)
  const quantity = (
    limits: number,
    value: number,
    ...words: [number, number, number, number, number]
  ): void => {
    words.slice(0, 4).forEach((word, i) => view.setInt16(limits + i * 2, toInt16(word)))
    view.setInt16(value, toInt16(words[4]))
  }
  quantity(0, 96, 78 * 256, -13 * 256, 73 * 256, -8 * 256, 38 * 256) // temperature, 1/256 °C
  quantity(8, 98, 37000, 29000, 36000, 30000, 33000) // supply, 100 µV
  quantity(16, 100, 5900, 1000, 5500, 1500, 3750) // laser bias, 2 µA
  quantity(24, 102, 10000, 1584, 7943, 1995, 5623) // sent power, 0.1 µW
  quantity(32, 104, 10000, 100, 7943, 200, 5012) // received power, 0.1 µW
  // External calibration is not used: slopes 1, offsets 0.
  view.setFloat32(68, 1)
  for (const slope of [76, 80, 84, 88]) view.setUint16(slope, 0x0100)
  page[95] = sum(page, 0, 95)
  return page
}

function toInt16(word: number): number {
  return (word << 16) >> 16
}

function putText(page: Uint8Array, offset: number, length: number, text: string): void {
  for (let i = 0; i < length; i++) page[offset + i] = i < text.length ? text.charCodeAt(i) : 0x20
}

/** Check code: the low byte of the sum of bytes `from` to `to` - 1. */
function sum(page: Uint8Array, from: number, to: number): number {
  return page.subarray(from, to).reduce((total, byte) => (total + byte) & 0xff, 0)
}

/** The module's memories by their I2C address. */
export function makeSfpModule(): ReadonlyMap<number, Uint8Array> {
  return new Map([
    [0xa0, makeIdentity()],
    [0xa2, makeDiagnostics()],
  ])
}
