/** ixy-ts as a process in the guest, what it prints, and the frames that it is to forward. */
import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { PRODUCT_FOLDER } from './initramfs.ts'
import { until } from './processes.ts'
import type { Answer, Guest } from './qemu.ts'

/** Under TCG a Node without V8's helper threads is about twice as fast. */
const IXY_TS = `node --single-threaded ${PRODUCT_FOLDER}/bin/ixy-ts`

/** Runs a command of ixy-ts in the guest to its end. */
export async function ixy(guest: Guest, args: string, seconds = 60): Promise<Answer> {
  return guest.shell(`${IXY_TS} ${args}`, seconds)
}

let count = 0

/** A command of ixy-ts that goes on running in the guest. */
export class RunningIxy {
  readonly #guest: Guest
  readonly #files: string
  readonly pid: number

  /** Starts `ixy-ts <args> --json` and waits for its `start` event. `as` is a user of the guest. */
  static async start(guest: Guest, args: string, as = 'root'): Promise<RunningIxy> {
    const files = `/tmp/ixy${++count}`
    const command = `echo $$ >${files}.pid; exec ${IXY_TS} ${args} --json >${files}.out 2>${files}.err`
    const shell =
      as === 'root' ? `sh -c '${command}'` : `ulimit -l unlimited; su ${as} -s /bin/sh -c '${command}'`
    await guest.sh(
      `(${shell}; echo $? >${files}.rc) >/dev/null 2>&1 &\nuntil [ -s ${files}.pid ]; do usleep 20000; done`,
    )
    const running = new RunningIxy(guest, files, Number(await guest.sh(`cat ${files}.pid`)))
    await until(`ixy-ts ${args} starts`, 60, async () => {
      const { output } = await guest.shell(
        `grep -c '"event":"start"' ${files}.out; cat ${files}.rc 2>/dev/null`,
      )
      const [events = '0', code] = output.trim().split('\n')
      assert.equal(code, undefined, `ixy-ts ${args} has ended\n${await running.everything()}`)
      return events !== '0'
    })
    return running
  }

  private constructor(guest: Guest, files: string, pid: number) {
    this.#guest = guest
    this.#files = files
    this.pid = pid
  }

  /** Sends a signal and waits for the end. Returns the exit code and all output. */
  async stop(signal = 'INT'): Promise<Answer> {
    await this.#guest.sh(`kill -${signal} ${this.pid}`)
    return this.ended()
  }

  async ended(seconds = 30): Promise<Answer> {
    const script = `i=0; until [ -s ${this.#files}.rc ]; do i=$((i + 1)); [ $i -gt ${seconds * 10} ] && exit 1; usleep 100000; done; cat ${this.#files}.rc`
    const { code, output } = await this.#guest.shell(script, seconds * 3)
    assert.equal(code, 0, `ixy-ts has not ended after ${seconds} s\n${await this.everything()}`)
    return { code: Number(output), output: await this.everything() }
  }

  async everything(): Promise<string> {
    return this.#guest.sh(`cat ${this.#files}.out ${this.#files}.err`)
  }
}

/** How the devices of a run with --json were reached. */
export function accessPaths(output: string): string[] {
  const start = /^\{"event":"start".*$/m.exec(output)?.[0] ?? '{}'
  const { devices = [] } = JSON.parse(start) as { devices?: { access: string }[] }
  return devices.map(({ access }) => access)
}

/**
 * Asserts that a run with --json on two devices lost nothing but what a card missed, as cards do when the machine leaves
 * the forwarder without time. Returns how many that were.
 */
export function nothingDropped(output: string): string {
  const end = /^\{"event":"end".*$/m.exec(output)?.[0] ?? '{}'
  const { devices = [] } = JSON.parse(end) as { devices?: { dropped: Record<string, number> }[] }
  assert.equal(devices.length, 2, end)
  for (const { dropped } of devices) {
    const others = Object.entries(dropped).filter(([cause, count]) => cause !== 'missed' && count > 0)
    assert.deepEqual(others, [], end)
  }
  return `missed by the cards: ${devices.map(({ dropped }) => dropped['missed'] ?? 0).join(' and ')}`
}

/** The ethertype for local experiments. */
const EXPERIMENTAL = 0x88b5

/** `count` frames of all sizes from 60 to `longest` bytes; each carries its number. */
export function mixedFrames(to: string, from: string, count: number, longest = 1514): Buffer[] {
  return Array.from({ length: count }, (_, number) => {
    const frame = Buffer.alloc(60 + ((number * 7919) % (longest - 59)), number & 255)
    frame.write(to.replaceAll(':', '') + from.replaceAll(':', ''), 'hex')
    frame.writeUInt16BE(EXPERIMENTAL, 12)
    frame.writeUInt32BE(number, 14)
    return frame
  })
}

/** The far end of a wire. */
export interface WireEnd {
  send(frames: readonly Uint8Array[]): Promise<void>
  /** The frames received since the last call. */
  collect(): Promise<Buffer[]>
}

/** Seconds in which the next frame has to come out. */
const PATIENCE = 10

/**
 * Sends the frames, at most a window of them under way, and insists on each coming out at the other end, unchanged and
 * in order. What the kernels at either end say besides (ARP) is passed over.
 */
export async function passes(
  from: WireEnd,
  to: WireEnd,
  frames: readonly Buffer[],
  window = 250,
): Promise<void> {
  await to.collect()
  let sent = 0
  let received = 0
  let progress = performance.now()
  while (received < frames.length) {
    const next = Math.min(received + window, frames.length)
    // In portions: each is a message to another process.
    if (next - sent >= window / 2 || next === frames.length) {
      await from.send(frames.slice(sent, next))
      sent = next
    }
    const arrived = (await to.collect()).filter((frame) => frame.readUInt16BE(12) === EXPERIMENTAL)
    for (const frame of arrived) {
      // The numbers tell a frame that is missing from one that was changed.
      const numbers = [frames[received], frame].map((bytes) => bytes?.readUInt32BE(14)).join(', not ')
      assert.ok(frames[received]?.equals(frame), `frame ${received} was to come out, number ${numbers}`)
      received++
    }
    const now = performance.now()
    if (arrived.length > 0) progress = now
    else if (now - progress > PATIENCE * 1000) assert.equal(received, sent, 'frames that came out')
    else await setTimeout(5)
  }
}
