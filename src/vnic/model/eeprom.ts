/**
 * The EEPROM's contents (82599 §6): 16-bit words, a header of pointers and the sections they lead to.
 *
 * Only what drivers look at is more than a placeholder: checksum, MAC address, part number, device capabilities, the
 * table of SFP+ module set-up sequences, and the firmware's version.
 */
export const EEPROM_WORDS = 8192
/** EEC.EE_SIZE for that many words: 2^(7 + 6) (82599 §8.2.3.2.1). */
export const EEPROM_SIZE_CODE = 7

/** Words 0x00 to 0x3F plus the sections sum up to this (82599 §6.3.2.5). */
const CHECKSUM = 0xbaba
const CHECKSUM_WORD = 0x3f
/** Header words that point to sections covered by the checksum, PCIe analog to CSR 1 (82599 §6.2). */
const FIRST_POINTER = 0x03
const FIRMWARE_POINTER = 0x0f

const CORE0_POINTER = 0x09
const PBA_GUARD = 0x15
const PBA_POINTER = 0x16
const SFP_LIST_POINTER = 0x2b
const DEVICE_CAPABILITIES = 0x2c
/** Bit 7 of the device capabilities: the board doesn't need the cage checked before LINKS is believed. */
const CAP_NO_CROSSTALK = 1 << 7
/** Bit 1 of the device capabilities: the board has no FCoE. */
const CAP_NO_FCOE = 1 << 1
const ETRACK_ID = 0x2d

/** SFP+ identifications of Linux's and Intel's drivers: SR and LR optics on port 0 and 1 (82599 §6.4.5.4). */
const SFP_SRLR_CORE0 = 5
const SFP_SRLR_CORE1 = 6
const LIST_END = 0xffff

const PART_NUMBER = 'E66560-003'

/** A word that no driver reads as anything. */
const NOTHING = 0xffff

export function makeEeprom(mac: Uint8Array): Uint16Array {
  const words = new Uint16Array(EEPROM_WORDS).fill(NOTHING)
  words.fill(0, 0, 0x40)
  let free = 0x80

  /** Puts a section of these words behind its length and returns where it starts. */
  const section = (...content: number[]): number => {
    const at = free
    words[at] = content.length
    words.set(content, at + 1)
    free += content.length + 1
    return at
  }
  /** Words without a length in front. */
  const block = (...content: number[]): number => {
    const at = free
    words.set(content, at)
    free += content.length
    return at
  }

  words[0x00] = 0x0000 // EEPROM control word 1
  for (let pointer = FIRST_POINTER; pointer < FIRMWARE_POINTER; pointer++) words[pointer] = NOTHING
  words[0x06] = section(0x0000, 0x8086, 0x10fb, 0x000c) // PCIe general
  words[0x07] = section(0x10fb, 0x0000) // PCIe configuration, function 0
  words[CORE0_POINTER] = section(
    mac[0] | (mac[1] << 8),
    mac[2] | (mac[3] << 8),
    mac[4] | (mac[5] << 8),
    0x0000,
  )
  words[0x0b] = section(0x0000, 0xc09c, 0x6004) // MAC 0: AUTOC

  words[PBA_GUARD] = 0xfafa
  words[PBA_POINTER] = partNumber(block)
  for (const pointer of [0x17, 0x27, 0x28, 0x33, 0x37]) words[pointer] = NOTHING
  words[DEVICE_CAPABILITIES] = CAP_NO_CROSSTALK | CAP_NO_FCOE
  words[ETRACK_ID] = 0x0001
  words[ETRACK_ID + 1] = 0x8000

  // Each sequence: a word that is skipped, values for CORECTL, the end mark (82599 §6.4.5.4).
  const sequence = block(0x0000, 0x0b01, 0x0c02, LIST_END)
  words[SFP_LIST_POINTER] = block(0x0000, SFP_SRLR_CORE0, sequence, SFP_SRLR_CORE1, sequence, LIST_END)

  // Firmware module: no link establishment state machine; pass-through patch configuration with the version.
  const patch = block(0, 0, 0, 0, 0, 0, 0, 0x0009)
  words[FIRMWARE_POINTER] = block(0, 0, NOTHING, NOTHING, patch)

  words[CHECKSUM_WORD] = CHECKSUM - checksumOf(words)
  return words
}

/** The printed board assembly number as a string, its length in words first (82599 §6.2.16). */
function partNumber(block: (...words: number[]) => number): number {
  const text = PART_NUMBER + '\0'.repeat(PART_NUMBER.length % 2)
  const words: number[] = []
  for (let i = 0; i < text.length; i += 2) words.push((text.charCodeAt(i) << 8) | text.charCodeAt(i + 1))
  return block(words.length + 1, ...words)
}

/** Sum of everything the checksum covers except the checksum itself (82599 §6.3.2.5). */
export function checksumOf(words: Uint16Array): number {
  let sum = 0
  for (let i = 0; i < CHECKSUM_WORD; i++) sum += words[i]
  for (let pointer = FIRST_POINTER; pointer < FIRMWARE_POINTER; pointer++) {
    const at = words[pointer]
    if (at === NOTHING || at === 0) continue
    const length = words[at]
    if (length === NOTHING || length === 0) continue
    for (let i = at + 1; i <= at + length; i++) sum += words[i]
  }
  return sum & 0xffff
}
