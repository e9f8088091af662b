import { compileFilter } from '../../linux/pcap-library.ts'
import type { AppCommand } from '../command.ts'
import { type ForwardOptions, forward } from './app.ts'

const EXAMPLES = `
Examples:
  ixy-ts forward virtual:gen virtual:gen --duration 10          two virtual NICs, no hardware needed
  sudo ixy-ts forward 0000:03:00.0 0000:03:00.1 --cpus 2,3      two real ports
  sudo ixy-ts forward virtual:tap=a virtual:tap=b               between two Linux interfaces
  ixy-ts forward virtual:replay=in.pcap virtual:record=out.pcap
  ixy-ts forward virtual:gen virtual:gen -d 10 --json --expect-loss 0
  sudo ixy-ts forward 03:00.0 03:00.1 --filter 'not (udp port 1900 or stp)'`

interface Flags {
  readonly touch: boolean
  readonly filter?: string
}

export const forwardCommand: AppCommand<ForwardOptions, Flags> = {
  app: forward,
  description: 'Send every packet from device a out of device b, and from b out of a',
  devices: [
    ['device-a', 'PCI address, vfio-user:<socket>, vhost-user:<socket>, tap:<ifname> or virtual:<wire>'],
    ['device-b', 'the same, another device'],
  ],
  examples: EXAMPLES,
  addOptions(command) {
    command
      .option('--touch', 'increment byte 48 of each packet, the workload of the ixy papers', false)
      .option('--filter <expression>', "pass on only what matches, in tcpdump's language: 'tcp port 80'")
  },
  options: ({ touch, filter }) => ({ touch, filter: filter === undefined ? null : compileFilter(filter) }),
  headline: ({ packets, rate }) => `forwarded ${packets} (${rate})`,
}
