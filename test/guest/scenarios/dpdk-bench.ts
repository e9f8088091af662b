/** What the parts of the scenario `dpdk` work with. */
import type { FarEnd, HostNetwork } from '../harness/host-network.ts'
import { until } from '../harness/processes.ts'
import type { Guest } from '../harness/qemu.ts'
import type { ScenarioContext } from '../harness/scenario.ts'

export const MAC_A = '02:00:00:00:09:0a'
export const MAC_B = '02:00:00:00:09:0b'

export interface DpdkBench {
  readonly test: ScenarioContext
  readonly guest: Guest
  readonly network: HostNetwork
  readonly farA: FarEnd
  readonly farB: FarEnd
  /** EAL's arguments for both cards with a TAP. */
  readonly both: string
}

/** Sends frames that hold 'the payload'; what comes out of these but for the MAC addresses, which testpmd rewrites. */
export async function through(
  from: FarEnd,
  to: FarEnd,
  frames: readonly Buffer[],
  count: number,
): Promise<string[]> {
  await to.collect()
  await from.send(frames)
  const out: Buffer[] = []
  await until(`${count} frames come out`, 20, async () => {
    out.push(...(await to.collect()).filter((frame) => frame.includes('the payload')))
    return out.length >= count
  })
  return out.map((frame) => frame.toString('hex', 12))
}
