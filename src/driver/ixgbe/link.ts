import type { LinkState } from '../device.ts'
import type { RegisterFile } from '../intel/register-file.ts'
import { get, put } from '../intel/register.ts'
import { REG } from './registers.ts'

/** AUTOC.LMS: 10 Gbit/s serial, no auto-negotiation (SFI, 82599 §8.2.3.22.19). */
const LMS_10G_SERIAL = 0b011
/** AUTOC2.10G_PMA_PMD_SERIAL: SFI (82599 §8.2.3.22.22). */
const PMAPMD_SFI = 0b10

/** Mbit/s by LINKS.LINK_SPEED (82599 §8.2.3.22.20). */
const SPEEDS = [0, 100, 1000, 10_000]

/**
 * Starts the link (82599 §4.6.4.2). It comes up by itself some time later, see `readLink`. The 82599 alone has its
 * serial interface on board; X540 and X550 have a PHY whose firmware does the same without being asked.
 */
export function startLink(regs: RegisterFile): void {
  regs.modify(REG.AUTOC2, {
    set: put(REG.AUTOC2.fields.PMAPMD_10G_SERIAL, PMAPMD_SFI),
    clear: REG.AUTOC2.fields.PMAPMD_10G_SERIAL.mask,
  })
  regs.modify(REG.AUTOC, { set: put(REG.AUTOC.fields.LMS, LMS_10G_SERIAL), clear: REG.AUTOC.fields.LMS.mask })
  regs.modify(REG.AUTOC, { set: REG.AUTOC.fields.RESTART_AN.mask })
}

export function readLink(regs: RegisterFile): LinkState {
  const links = regs.read(REG.LINKS)
  const up = (links & REG.LINKS.fields.LINK_UP.mask) !== 0
  return { up, mbit: up ? SPEEDS[get(REG.LINKS.fields.LINK_SPEED, links)] : 0 }
}
