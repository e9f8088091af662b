/** What `ixy-ts vnic` tells of its NICs, in the words of a run. */
import type { DeviceCounters, DeviceInfo, WiresNow } from '../engine/types.ts'
import { withoutLost } from '../engine/watched-sample.ts'
import { LINK_MBIT, MODEL, type NicHost } from '../vnic/host.ts'

export function infoOf(host: NicHost, index: number): DeviceInfo {
  const mac = host.mac(index)
  return {
    index,
    device: host.specs[index].name,
    model: MODEL,
    mac,
    access: 'vfio-user',
    linkUp: true,
    linkMbit: LINK_MBIT,
  }
}

export function wiresOf(host: NicHost): WiresNow[] {
  return host.reports().map(({ wires, breaches }, index) => ({
    index,
    device: host.specs[index].name,
    wires: wires.map(withoutLost),
    breaches,
  }))
}

export function countersOf(host: NicHost, index: number): DeviceCounters {
  return { index, device: host.specs[index].name, queue: null, ...host.totals(index) }
}
