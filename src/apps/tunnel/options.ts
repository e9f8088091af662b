/** From the command line to what a tunnel is to do. Everything wrong is said in one line. */
import { usageError } from '../../errors.ts'
import { compileFilter } from '../../linux/pcap-library.ts'
import { MAX_VLAN_ID } from '../../packet/ethernet.ts'
import { GENEVE_PORT } from '../../packet/geneve.ts'
import { formatIpv4, isIpv4Host, parseIpv4 } from '../../packet/ipv4.ts'
import { formatIpv6, parseIpv6 } from '../../packet/ipv6.ts'
import { read32 } from '../../packet/big-endian.ts'
import { MAX_VNI, VXLAN_PORT } from '../../packet/vxlan.ts'
import { wholeNumber } from '../../quantity.ts'
import type { Encapsulation, Network, TunnelOptions } from './job.ts'

export const ENCAPSULATIONS: readonly Encapsulation[] = ['vxlan', 'geneve', 'fou']
const DEFAULT_TTL = 64

export interface TunnelFlags {
  readonly encap?: Encapsulation
  readonly local?: string
  readonly remote?: string
  readonly vni?: number
  readonly map?: readonly string[]
  readonly gateway?: string
  readonly vlan?: number
  readonly port?: number
  readonly port6?: number
  readonly ttl: number
  readonly dscp: number | 'inherit'
  readonly udpChecksum?: boolean
  readonly mac?: Uint8Array
  readonly innerMac?: Uint8Array
  readonly filter?: string
}

export { DEFAULT_TTL }

export function tunnelOptions(flags: TunnelFlags): TunnelOptions {
  const { encap, vlan = null } = flags
  if (encap === undefined)
    throw usageError(
      'tunnel needs --encap',
      `give one of ${ENCAPSULATIONS.join(', ')}, see ixy-ts tunnel --help`,
    )
  if (flags.local === undefined)
    throw usageError('tunnel needs --local', 'give the address of this end, as in --local 192.0.2.1/24')
  const { address: local, bits } = readLocal(flags.local)
  const drafts = readNetworks(encap, flags)
  for (const { remote } of drafts) checkRemote(remote, local)
  checkUnique(encap, drafts)
  const hops = hopsOf(drafts, local, bits, flags.gateway)
  const networks = drafts.map(({ remote, ...rest }, i) => ({ ...rest, remote, hop: hops.indices[i] }))
  return {
    encapsulation: encap,
    local,
    mac: flags.mac ?? macOf(local, 0),
    vlan,
    networks,
    hops: hops.addresses,
    ...readPorts(encap, flags),
    ttl: flags.ttl,
    dscp: flags.dscp === 'inherit' ? null : flags.dscp,
    udpChecksum: flags.udpChecksum ?? local.length === 16,
    innerMac: flags.innerMac ?? macOf(local, 1),
    filter: flags.filter === undefined ? null : compileFilter(flags.filter),
  }
}

type Draft = Omit<Network, 'hop'>

function readNetworks(encap: Encapsulation, { remote, vni, map = [] }: TunnelFlags): Draft[] {
  if (map.length > 0) {
    if (remote !== undefined || vni !== undefined)
      throw usageError(
        '--map goes without --remote and --vni',
        'put them into it: --map vlan=10,vni=42,remote=192.0.2.2',
      )
    return map.map((text) => readMap(encap, text))
  }
  if (remote === undefined)
    throw usageError('tunnel needs --remote', 'give the address of the other end, or several ends with --map')
  return [{ vlan: null, vni: checkVni(encap, vni, '--vni'), remote: readAddress(remote) }]
}

function readMap(encap: Encapsulation, text: string): Draft {
  const parts = new Map<string, string>()
  for (const part of text.split(',')) {
    const [, key, value] = /^(vlan|vni|remote)=(.+)$/.exec(part) ?? []
    if (key === undefined || parts.has(key))
      throw usageError(`--map ${text} is not valid`, 'write it as in vlan=10,vni=42,remote=192.0.2.2')
    parts.set(key, value)
  }
  const [vlan, vni, remote] = ['vlan', 'vni', 'remote'].map((key) => parts.get(key))
  if (remote === undefined)
    throw usageError(`--map ${text} has no remote=`, 'add the address of the other end')
  return {
    vlan: vlan === undefined ? null : wholeNumber('--map vlan=', vlan, 1, MAX_VLAN_ID),
    vni: checkVni(encap, vni === undefined ? undefined : wholeNumber('--map vni=', vni, 0, MAX_VNI), 'vni='),
    remote: readAddress(remote),
  }
}

function checkVni(encap: Encapsulation, vni: number | undefined, option: string): number {
  if (encap === 'fou' && vni !== undefined)
    throw usageError(
      `${option} means nothing with --encap fou, which has no network identifier`,
      'leave it out',
    )
  if (encap !== 'fou' && vni === undefined)
    throw usageError(`--encap ${encap} needs ${option}`, `give the network identifier, 0 to ${MAX_VNI}`)
  return vni ?? 0
}

function checkRemote(remote: Uint8Array, local: Uint8Array): void {
  const text = formatAddress(remote)
  if (remote.length !== local.length)
    throw usageError(
      `${text} and --local ${formatAddress(local)} are not of the same IP version`,
      'give both as IPv4 or both as IPv6',
    )
  if (same(remote, local))
    throw usageError(`remote ${text} is the address of this end`, "give the other end's")
  if (!isHost(remote))
    throw usageError(
      `remote ${text} is no address of a host`,
      'groups (multicast) are not supported: name each end with --map',
    )
}

/** What comes from outside must tell which network it is of, and what comes from inside as well. */
function checkUnique(encap: Encapsulation, networks: readonly Draft[]): void {
  const keys = networks.map(({ vni, remote }) =>
    encap === 'fou' ? `remote ${formatAddress(remote)}` : `vni ${vni}`,
  )
  const twice =
    keys.find((key, i) => keys.indexOf(key) !== i) ??
    networks
      .map(({ vlan }) => (vlan === null ? 'the network without vlan=' : `vlan ${vlan}`))
      .find((key, i, all) => all.indexOf(key) !== i)
  if (twice !== undefined) throw usageError(`--map: ${twice} is there twice`, 'give each to one network only')
}

function hopsOf(
  networks: readonly Draft[],
  local: Uint8Array,
  bits: number | null,
  gatewayText: string | undefined,
): { addresses: Uint8Array[]; indices: number[] } {
  const gateway = gatewayText === undefined ? null : readAddress(gatewayText)
  const near = (address: Uint8Array): boolean => bits === null || onLink(address, local, bits)
  if (gateway !== null) {
    const text = formatAddress(gateway)
    if (gateway.length !== local.length || !isHost(gateway) || same(gateway, local))
      throw usageError(
        `--gateway ${text} is not valid`,
        `give a router's address on the link of ${formatAddress(local)}`,
      )
    const linkLocal = gateway[0] === 0xfe && (gateway[1] & 0xc0) === 0x80
    if (!near(gateway) && !linkLocal)
      throw usageError(
        `--gateway ${text} is not on the link ${formatAddress(local)}/${bits}`,
        'give a router that is',
      )
  }
  for (const address of [local, gateway ?? local, ...networks.map(({ remote }) => remote)])
    if (bits !== null && near(address) && isEveryones(address, bits))
      throw usageError(
        `${formatAddress(address)} is the address of the network /${bits} or its broadcast`,
        "give a host's",
      )
  const addresses: Uint8Array[] = []
  const indices = networks.map(({ remote }) => {
    // Without a prefix everything is behind the gateway, or on the link if there is none.
    const through = gateway !== null && (bits === null || !near(remote)) ? gateway : remote
    if (through === remote && !near(remote))
      throw usageError(
        `remote ${formatAddress(remote)} is not on the link ${formatAddress(local)}/${bits}`,
        'give the router to it with --gateway',
      )
    const known = addresses.findIndex((address) => same(address, through))
    return known >= 0 ? known : addresses.push(through) - 1
  })
  return { addresses, indices }
}

function readPorts(
  encap: Encapsulation,
  { port, port6 }: TunnelFlags,
): { port: number; port6: number | null } {
  if (encap !== 'fou') {
    if (port6 !== undefined)
      throw usageError(
        `--port6 means nothing with --encap ${encap}, which carries all on one port`,
        'leave it out',
      )
    return { port: port ?? (encap === 'vxlan' ? VXLAN_PORT : GENEVE_PORT), port6: null }
  }
  if (port === undefined)
    throw usageError('--encap fou needs --port', "give the other end's: that of ip fou add port")
  if (port === port6) throw usageError(`--port6 ${port6} is that of --port`, 'IPv4 and IPv6 need a port each')
  return { port, port6: port6 ?? null }
}

function readLocal(text: string): { address: Uint8Array; bits: number | null } {
  const [head, tail, ...more] = text.split('/')
  const address = readAddress(head)
  const most = address.length * 8
  if (more.length > 0) throw usageError(`--local ${text} is not valid`, 'write it as in 192.0.2.1/24')
  if (!isHost(address)) throw usageError(`--local ${head} is no address of a host`, 'give one of your own')
  return { address, bits: tail === undefined ? null : wholeNumber('--local: prefix ', tail, 0, most) }
}

export function readAddress(text: string): Uint8Array {
  if (text.includes(':')) return parseIpv6(text)
  const number = parseIpv4(text)
  return Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number)
}

export function formatAddress(address: Uint8Array): string {
  return address.length === 4 ? formatIpv4(read32(address, 0)) : formatIpv6(address)
}

function isHost(address: Uint8Array): boolean {
  if (address.length === 4) return isIpv4Host(read32(address, 0))
  return address[0] !== 0xff && address.subarray(0, 15).some((byte) => byte !== 0)
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** IPv4: all bits behind the prefix are 0, or 1; /31 and /32 have no such addresses (RFC 3021). */
function isEveryones(address: Uint8Array, bits: number): boolean {
  if (address.length !== 4 || bits > 30) return false
  const rest = 0xffffffff >>> bits
  const host = (read32(address, 0) & rest) >>> 0
  return host === 0 || host === rest
}

function onLink(address: Uint8Array, local: Uint8Array, bits: number): boolean {
  if (address.length !== local.length) return false
  return local.every((byte, i) => {
    const mask = 0xff00 >> Math.max(0, Math.min(8, bits - i * 8))
    return ((byte ^ address[i]) & mask & 0xff) === 0
  })
}

/** A locally administered address that ends with that of the host. */
function macOf(address: Uint8Array, side: number): Uint8Array {
  return Uint8Array.of(2, side, ...address.slice(-4))
}
