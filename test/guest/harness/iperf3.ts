/** Streams by iperf3, whose server (`iperf3 -s -D`) the other end has begun. */
import { setTimeout } from 'node:timers/promises'
import type { Guest } from './qemu.ts'

export interface Received {
  readonly bytes: number
  readonly bits_per_second: number
}

/**
 * The server takes one test at a time. While it ends one, it resets the connection of who comes; before it takes the next, it closes the
 * port it listens at and opens it anew, and refuses who comes between. Either says nothing about what is tested.
 */
const BETWEEN_TESTS = /unable to receive control message|unable to connect to server/
const ATTEMPTS = 4

/** What the server's end of the stream has received. `client` runs iperf3 with -J and these arguments, and returns what it prints. */
export async function stream(
  client: (args: readonly string[]) => Promise<string>,
  ...args: readonly string[]
): Promise<Received> {
  for (let left = ATTEMPTS - 1; ; left--) {
    try {
      const { end } = JSON.parse(await client(['-J', ...args])) as { end: { sum_received: Received } }
      return end.sum_received
    } catch (error) {
      if (left === 0 || !BETWEEN_TESTS.test(String(error))) throw error
      await setTimeout(1000)
    }
  }
}

/** A client in a guest. */
export const inGuest =
  (guest: Guest, seconds = 60) =>
  (args: readonly string[]): Promise<string> =>
    guest.sh(`iperf3 ${args.join(' ')}`, seconds)
