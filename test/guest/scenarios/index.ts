import type { Scenario } from '../harness/scenario.ts'
import { dpdk } from './dpdk.ts'
import { dpdkVhost } from './dpdk-vhost.ts'
import { hostInterface } from './host-interface.ts'
import { ipxe } from './ipxe.ts'
import { ixyAndLinux } from './ixy-and-linux.ts'
import { ixyBetweenGuests } from './ixy-between-guests.ts'
import { ixySysfs } from './ixy-sysfs.ts'
import { ixyVfio } from './ixy-vfio.ts'
import { linuxCable } from './linux-cable.ts'
import { linuxFrames } from './linux-frames.ts'
import { linuxIntx } from './linux-intx.ts'
import { linuxIxgbe } from './linux-ixgbe.ts'
import { linuxTunnels } from './linux-tunnels.ts'
import { serverKilled } from './server-killed.ts'
import { smoke } from './smoke.ts'
import { soak } from './soak.ts'
import { tunnel } from './tunnel.ts'
import { virtioBetweenGuests } from './virtio-between-guests.ts'
import { virtioSysfs } from './virtio-sysfs.ts'
import { virtioVfio } from './virtio-vfio.ts'

/** In the order in which they run. */
export const scenarios: readonly Scenario[] = [
  smoke,
  linuxIxgbe,
  linuxIntx,
  linuxFrames,
  linuxCable,
  linuxTunnels,
  tunnel,
  serverKilled,
  ipxe,
  dpdk,
  dpdkVhost,
  ixySysfs,
  ixyVfio,
  ixyAndLinux,
  ixyBetweenGuests,
  hostInterface,
  virtioSysfs,
  virtioVfio,
  virtioBetweenGuests,
  soak,
]
