import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Tool, becomes, childrenOf, describeIf, hasEnded, missing, objects, sh } from './support.ts'

/** A runtime directory of its own, so that what a run leaves behind can be seen. */
function ownRuntime(): { directory: string; env: Record<string, string> } {
  const directory = mkdtempSync(path.join(tmpdir(), 'ixy-ts-run-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  return { directory, env: { IXY_TS_RUNTIME_DIR: directory } }
}

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
}

/** Child processes of `pid`, and theirs. */
function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)])
}

function gone(pids: readonly number[]): Promise<boolean> {
  return becomes(() => pids.every(hasEnded), 5000)
}

describe.each([
  ['SIGINT', [0, 100, 300]],
  ['SIGTERM', [50, 200, 400]],
] as const)('%s', (signal, delays) => {
  const { directory, env } = ownRuntime()

  test.each([
    ['forward', ['forward', 'virtual:gen', 'virtual:gen', '-i', '0.1'], /RX:.*\n.*TX:/],
    ['pktgen', ['pktgen', 'virtual:sink', '-i', '0.1'], /TX:/],
  ])('stops %s cleanly: summary, exit 0, nothing left behind', async (_, args, running) => {
    const tool = new Tool(args, { env })
    await tool.until(running)
    const children = descendants(tool.pid)
    expect(children.length).toBeGreaterThan(0)
    const before = tool.stdout.length
    const { code, stdout } = await tool.kill(signal)
    expect(code).toBe(0)
    expect(stdout.slice(before)).toMatch(/packets/)
    expect(await gone(children)).toBe(true)
    expect(files(directory)).toEqual([])
  })

  test('while the link is awaited', async () => {
    const tool = new Tool(['forward', '--json', 'virtual:gen,fault=unplugged=3600s', 'virtual:sink'], { env })
    await tool.until(/waiting for the link/, 'stderr')
    const children = descendants(tool.pid)
    const { code, stdout } = await tool.kill(signal)
    expect(code).toBe(0)
    expect(objects(stdout, 'end')[0]).toMatchObject({ reason: 'signal', error: null })
    expect(await gone(children)).toBe(true)
    expect(files(directory)).toEqual([])
  })

  test.each(delays)('after %i ms, whatever it is doing by then', async (delay) => {
    const tool = new Tool(['forward', '--json', 'virtual:gen', 'virtual:gen'], { env })
    // The moment is the point of this test: the outcome must be the same at any.
    await new Promise((resolve) => setTimeout(resolve, delay))
    const children = descendants(tool.pid)
    const { code, signal: by, stdout } = await tool.kill(signal)
    // Before Node.js has run a line of ours the signal ends the process, as any other program.
    if (by === null) {
      expect(code).toBe(0)
      expect(objects(stdout, 'end')[0]).toMatchObject({ error: null })
    } else {
      expect({ by, stdout }).toEqual({ by: signal, stdout: '' })
    }
    expect(await gone(children)).toBe(true)
    expect(files(directory)).toEqual([])
  })
})

test('a signal that is sent twice, as timeout(1) does, stops cleanly', async () => {
  const tool = new Tool(['forward', 'virtual:gen', 'virtual:gen', '-i', '0.1'])
  await tool.until(/RX:/)
  const children = descendants(tool.pid)
  for (let sent = 0; sent < 20; sent++) {
    tool.process.kill('SIGTERM')
    // A pause in which the tool takes the signal: those that come together are one for the kernel, too.
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const { code, stdout } = await tool.end()
  expect(code).toBe(0)
  // Of both devices.
  const number = (text: string | undefined): number => Number(text?.replaceAll(',', ''))
  const sent = [...stdout.matchAll(/^ {2}TX +([\d,]+) packets/gm)].map(([, packets]) => number(packets))
  expect(sent).toHaveLength(2)
  expect(number(/^forwarded ([\d,]+) packets/m.exec(stdout)?.[1])).toBe(sent[0] + sent[1])
  expect(await gone(children)).toBe(true)
})

const killed = ownRuntime()

test('a SIGKILL leaves no process and no socket behind', async () => {
  const { directory, env } = killed
  const tool = new Tool(['forward', 'virtual:gen', 'virtual:gen', '-i', '0.1'], { env })
  await tool.until(/RX:/)
  const children = descendants(tool.pid)
  await tool.kill('SIGKILL')
  expect(await gone(children)).toBe(true)
  expect(files(directory).filter((name) => !name.startsWith(`${tool.pid}-`))).toEqual([])
})

describeIf(missing({ root: true, programs: ['ip'] }), 'TAP interfaces', () => {
  test('go with the tool that made them', async () => {
    const name = `ixs${process.pid % 100000}`
    const tool = new Tool(['forward', `virtual:tap=${name}`, 'virtual:sink', '-i', '0.1'])
    await tool.until(/RX:/)
    expect(sh('ip', '-br', 'link')).toContain(name)
    expect((await tool.kill('SIGTERM')).code).toBe(0)
    expect(sh('ip', '-br', 'link')).not.toContain(name)
  })
})
