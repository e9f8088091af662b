/** KVM where it truly works. The device node alone says little: it is tried with a real kernel. */
import { existsSync } from 'node:fs'
import { type Accelerator, Guest, type GuestOptions } from './qemu.ts'

/** A kernel that KVM runs is up in about 2 s. */
const PROBE_SECONDS = 15

export async function chooseAccelerator(
  base: Pick<GuestOptions, 'tree' | 'initramfs' | 'sockets' | 'logs'>,
): Promise<{ accelerator: Accelerator; reason: string }> {
  const forced = process.env['IXY_GUEST_ACCEL']
  if (forced === 'kvm' || forced === 'tcg') return { accelerator: forced, reason: 'IXY_GUEST_ACCEL' }
  if (forced !== undefined) throw new Error(`IXY_GUEST_ACCEL=${forced}: use kvm or tcg`)
  if (!existsSync('/dev/kvm')) return { accelerator: 'tcg', reason: 'there is no /dev/kvm' }

  try {
    const guest = await Guest.boot({
      ...base,
      name: 'kvm-probe',
      accelerator: 'kvm',
      bootSeconds: PROBE_SECONDS,
    })
    await guest.stop()
    return { accelerator: 'kvm', reason: 'a guest booted' }
  } catch {
    return { accelerator: 'tcg', reason: '/dev/kvm exists, but a guest does not boot with it' }
  }
}
