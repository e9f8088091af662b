import type { RegisterFile } from './register-file.ts'
import type { Register } from './register.ts'

/** The first receive address, which a card has loaded from its EEPROM: `52:54:00:00:00:01` (82599 §8.2.3.7.8). */
export function readMac(
  regs: RegisterFile,
  { RAL, RAH }: { readonly RAL: Register; readonly RAH: Register },
): string {
  const low = regs.read(RAL)
  const high = regs.read(RAH)
  const bytes = [low, low >>> 8, low >>> 16, low >>> 24, high, high >>> 8]
  return bytes.map((byte) => (byte & 0xff).toString(16).padStart(2, '0')).join(':')
}
