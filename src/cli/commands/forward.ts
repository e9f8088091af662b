import type { Command } from 'commander'
import { run } from '../../engine/run.ts'
import { checkDevices } from '../device-argument.ts'
import { type RunFlags, addRunOptions, commonRunOptions } from '../options.ts'
import { sum } from '../output/tally.ts'
import { counted } from '../output/layout.ts'
import { packetRate } from '../output/rates.ts'
import type { Finish } from '../finish.ts'
import { runApp } from '../run-app.ts'

const EXAMPLES = `
Examples:
  ixy-ts forward virtual:gen virtual:gen --duration 10          two virtual NICs, no hardware needed
  sudo ixy-ts forward 0000:03:00.0 0000:03:00.1 --cpus 2,3      two real ports
  sudo ixy-ts forward virtual:tap=a virtual:tap=b               between two Linux interfaces
  ixy-ts forward virtual:replay=in.pcap virtual:record=out.pcap
  ixy-ts forward virtual:gen virtual:gen -d 10 --json --expect-loss 0`

export function addForward(program: Command, finish: Finish): void {
  const command = program
    .command('forward')
    .description('Send every packet from device a out of device b, and from b out of a')
    .argument('<device-a>', 'PCI address, vfio-user:<socket> or virtual:<wire>')
    .argument('<device-b>', 'the same, another device')
    .option('--touch', 'increment byte 48 of each packet, the workload of the ixy papers', false)
    .addHelpText('after', EXAMPLES)
  addRunOptions(command).action(async (a: string, b: string, flags: RunFlags & { touch: boolean }) => {
    const devices = checkDevices([a, b])
    const options = {
      ...commonRunOptions(flags),
      devices,
      app: { kind: 'forward', touch: flags.touch },
    } as const
    finish(
      await runApp(run, options, flags, ({ devices }) => {
        const whole = devices.filter(({ queue }) => queue === null)
        const rate = packetRate({ mpps: sum(whole.map(({ tx }) => tx.average.mpps)) })
        return `forwarded ${counted(sum(whole.map(({ tx }) => tx.packets)), 'packet')} (${rate})`
      }),
    )
  })
}
