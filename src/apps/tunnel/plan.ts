import type { PlanContext } from '../../engine/app.ts'
import { innerMtu, type TunnelJob, type TunnelOptions } from './job.ts'
import { Underlay } from './underlay.ts'

/** Every link carries IPv6 packets of that size (RFC 8200 §5). */
const LEAST_IPV6_MTU = 1280

/** One job per worker, all the same. Says how large packets of the inner side may be. */
export function planTunnel(options: TunnelOptions, { mtu, queues, log, devices }: PlanContext): TunnelJob[] {
  const { hops, networks } = options
  const inner = innerMtu(options, mtu)
  log('progress', `${devices[1]}: packets of up to ${inner} bytes fit the tunnel (--mtu ${mtu})`)
  if (inner < LEAST_IPV6_MTU) log('warning', `IPv6 inside needs ${LEAST_IPV6_MTU} bytes; give a larger --mtu`)
  const job = { ...options, mtu, underlay: Underlay.allocate(hops.length, networks.length) }
  return Array.from({ length: queues }, () => job)
}
