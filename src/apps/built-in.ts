/** The apps that ixy-ts brings along: the one list of them. */
import type { AppCommand } from './command.ts'
import { captureCommand } from './capture/command.ts'
import { forwardCommand } from './forward/command.ts'
import { pktgenCommand } from './pktgen/command.ts'
import { rfc2544Command } from './rfc2544/command.ts'
import { tunnelCommand } from './tunnel/command.ts'

export const BUILT_IN: readonly AppCommand[] = [
  forwardCommand,
  pktgenCommand,
  captureCommand,
  tunnelCommand,
  rfc2544Command,
]
