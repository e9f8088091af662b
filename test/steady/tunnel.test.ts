/** A tunnel at work leaves nothing to the garbage collector: V8's own report of the worker's heap says so. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { bothEnds, INNER, innerFrame, OUTER } from '../apps/tunnel/rig.ts'
import { pcap } from '../captures/build.ts'
import { steadyRun } from './steady-run.ts'
import { temporaryDirectory } from '../e2e/support.ts'

const folder = temporaryDirectory()

test.each([
  ['VXLAN in WebAssembly', { encap: 'vxlan', vni: 42 }, 'wasm'],
  ['FOU in TypeScript', { encap: 'fou', port: 5555 }, 'ts'],
] as const)(
  '%s',
  async (_, flags, backend) => {
    const directory = path.join(folder, backend)
    mkdirSync(directory)
    // What the other end sends over and over: now and then its question for our address, which tells its own, else packets.
    const [near, far] = bothEnds(4, flags)
    const frames = [100, 600, 1300].map((payloadBytes) =>
      innerFrame(4, { payloadBytes, toMac: far.job.innerMac }),
    )
    const [question] = far.receive(INNER, ...frames)[OUTER]
    const carried = far.receive(OUTER, ...near.receive(OUTER, question)[OUTER])[OUTER]
    const inside = frames.map((frame) => Uint8Array.from(frame))
    for (const frame of inside) frame.set(near.job.innerMac)
    const endless = (name: string, list: readonly Uint8Array[]): string => {
      const file = path.join(directory, name)
      writeFileSync(file, pcap(list.map((data) => ({ data }))))
      return `virtual:replay=${file},repeat=0,rate=max`
    }
    const options = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`])
    const { code, stdout, early, steady } = await steadyRun(directory, [
      ...[
        'tunnel',
        endless('outer.pcap', [question, ...Array.from({ length: 10_000 }, () => carried).flat()]),
        endless('inner.pcap', inside),
      ],
      ...[...options, '--local', '192.0.2.1', '--remote', '192.0.2.2', '--backend', backend],
    ])
    expect(code).toBe(0)
    // Of the whole run, which is told last.
    for (const way of ['encapsulated', 'decapsulated']) {
      const told = [...stdout.matchAll(new RegExp(` ${way} ([\\d,]+)`, 'g'))].at(-1)?.[1]
      expect(Number(told?.replaceAll(',', ''))).toBeGreaterThan(100_000)
    }
    // It has had some while it was loaded, so these are its.
    expect(early).toBeGreaterThan(0)
    // A clock asked in every eighth idle step, whose answer is allocated, makes one or two a second.
    expect(steady).toEqual([])
  },
  60_000,
)
