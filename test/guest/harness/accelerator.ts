/** KVM where it truly works. The device node alone says little: it is tried with a real kernel. */
import { existsSync } from 'node:fs'
import { type Accelerator, Guest, type GuestOptions } from './qemu.ts'

/** A kernel that KVM runs is up in about 2 s. */
const PROBE_SECONDS = 15

export interface Choice {
  readonly accelerator: Accelerator
  readonly reason: string
  /** It was asked for: nothing else will do. */
  readonly forced: boolean
}

export async function chooseAccelerator(
  base: Pick<GuestOptions, 'tree' | 'initramfs' | 'sockets' | 'logs'>,
): Promise<Choice> {
  const wish = process.env['IXY_GUEST_ACCEL']
  if (wish === 'kvm' || wish === 'tcg') return { accelerator: wish, reason: 'IXY_GUEST_ACCEL', forced: true }
  if (wish !== undefined) throw new Error(`IXY_GUEST_ACCEL=${wish}: use kvm or tcg`)
  const tcg = (reason: string): Choice => ({ accelerator: 'tcg', reason, forced: false })
  if (!existsSync('/dev/kvm')) return tcg('there is no /dev/kvm')

  try {
    const guest = await Guest.boot({
      ...base,
      name: 'kvm-probe',
      accelerator: 'kvm',
      bootSeconds: PROBE_SECONDS,
    })
    // Node's code is what a KVM without all of the CPU's instructions would stumble over.
    try {
      await guest.sh('node --version', PROBE_SECONDS)
    } finally {
      await guest.stop()
    }
    return { accelerator: 'kvm', reason: 'a guest booted', forced: false }
  } catch {
    return tcg('/dev/kvm exists, but a guest does not boot with it')
  }
}
