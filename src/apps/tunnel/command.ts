import type { Command } from 'commander'
import { offering, oneOf, wholeNumber } from '../../option-values.ts'
import { usageError } from '../../errors.ts'
import { parseUnicastMac } from '../../packet/mac.ts'
import { MAX_VNI } from '../../packet/vxlan.ts'
import type { AppCommand } from '../command.ts'
import { tunnel } from './app.ts'
import { LOST } from './fates.ts'
import type { TunnelOptions } from './job.ts'
import { DEFAULT_TTL, ENCAPSULATIONS, type TunnelFlags, tunnelOptions } from './options.ts'

const EXAMPLES = `
The outer device sends and receives UDP packets with an address of its own, for which it answers ARP, neighbour solicitation and
ping. The inner device has what they carry; how large its packets may be is told at the start. Addresses are IPv4 or IPv6.
docs/tunnel.md has the commands for Linux at the other end.

Examples:
  sudo ixy-ts tunnel 0000:03:00.0 tap:inner --encap vxlan --vni 42 --local 192.0.2.1/24 --remote 192.0.2.2
  sudo ixy-ts tunnel 0000:03:00.0 0000:03:00.1 --encap geneve --vni 7 --local fd00::1/64 --remote fd00::2 --mtu 1600 -q 4
  sudo ixy-ts tunnel 0000:03:00.0 tap:inner --encap fou --port 5555 --port6 5556 --local 192.0.2.1 --remote 192.0.2.2
  sudo ixy-ts tunnel virtual:tap=o virtual:tap=i --encap vxlan --local 192.0.2.1/24 --map vlan=10,vni=42,remote=192.0.2.2
  sudo ixy-ts tunnel 0000:03:00.0 tap:inner --encap vxlan --vni 42 --local 192.0.2.1 --remote 192.0.2.2 --filter 'not udp port 1900'
  ixy-ts tunnel virtual:record=out.pcap virtual:gen --encap vxlan --vni 42 --local 192.0.2.1 --remote 192.0.2.2 -d 1`

export const tunnelCommand: AppCommand<TunnelOptions, TunnelFlags> = {
  app: tunnel,
  description: 'Carry Ethernet frames or IP packets in UDP between two ends: VXLAN, Geneve, FOU',
  devices: [
    [
      'outer',
      'device towards the other end: PCI address, vfio-user:<socket>, vhost-user:<socket>, tap:<ifname> or virtual:<wire>',
    ],
    ['inner', 'device whose packets are carried, likewise'],
  ],
  examples: EXAMPLES,
  addOptions,
  options: tunnelOptions,
  headline: ({ packets, rate }) => `tunnelled ${packets} (${rate})`,
  lossCounters: LOST,
}

function addOptions(command: Command): void {
  command
    .addOption(
      oneOf(
        command.createOption(
          '--encap <name>',
          'vxlan (RFC 7348), geneve (RFC 8926) or fou (IP in UDP, without Ethernet)',
        ),
        ENCAPSULATIONS,
      ),
    )
    .option(
      '--local <address[/prefix]>',
      'IPv4 or IPv6 address of this end; with its prefix, what is on its link',
    )
    .option('--remote <address>', 'address of the other end')
    .option('--vni <id>', 'network identifier of vxlan and geneve', wholeNumber('--vni', 0, MAX_VNI))
    .option(
      '--map <network>',
      'one of several networks: vlan=<inner VLAN>,vni=<id>,remote=<address>; without vlan=, what no other takes (repeatable)',
      (text: string, before: readonly string[] = []) => [...before, text],
    )
    .option('--gateway <address>', 'router on the outer link, for ends that are not on it')
    .option('--vlan <id>', 'VLAN of the outer packets', wholeNumber('--vlan', 1, 4094))
    .option(
      '--port <port>',
      'UDP port of both ends (default: 4789 for vxlan, 6081 for geneve; fou: that of IPv4 packets)',
      wholeNumber('--port', 1, 65_535),
    )
    .option(
      '--port6 <port>',
      'fou: UDP port of IPv6 packets (default: there are none)',
      wholeNumber('--port6', 1, 65_535),
    )
    .option('--ttl <hops>', 'time to live of the outer packets', wholeNumber('--ttl', 1, 255), DEFAULT_TTL)
    .option('--dscp <class>', "DSCP of the outer packets, 0 to 63, or inherit: the inner packet's", dscp, 0)
    .addOption(
      offering(
        command.createOption(
          '--udp-checksum <on|off>',
          'checksum of the outer packets; over IPv6, on drops those that come without (default: IPv6 on, IPv4 off)',
        ),
        ['on', 'off'],
      ).argParser(onOff),
    )
    .option(
      '--filter <expression>',
      "carry only the inner side's packets that match, both ways, in tcpdump's language: 'arp or udp port 53'",
    )
    .option('--mac <mac>', 'MAC address of this end (default: one made of its IP address)', parseUnicastMac)
    .option(
      '--inner-mac <mac>',
      'fou: MAC address of this end at the inner side (default: likewise)',
      parseUnicastMac,
    )
}

function dscp(text: string): number | 'inherit' {
  return text === 'inherit' ? text : wholeNumber('--dscp', 0, 63)(text)
}

function onOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on'
  throw usageError(`--udp-checksum ${text} is not valid`, 'give on or off')
}
