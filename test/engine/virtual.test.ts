/** The child is the bundle in dist/: run `make build` first. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { VirtualNics } from '../../src/engine/virtual.ts'
import { IxyError } from '../../src/errors.ts'
import { UnixSocket } from '../../src/linux/unix-socket.ts'

async function failure(promise: Promise<unknown>): Promise<IxyError> {
  const error: unknown = await promise.then(
    () => new Error('did not fail'),
    (reason: unknown) => reason,
  )
  if (error instanceof IxyError) return error
  throw error
}

/** Resolves once `condition` holds; fails after 5 s. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 5 s: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const never = (): boolean => false

describe('VirtualNics', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-test-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  test('one child listens for all, in a directory that is ours alone, and leaves nothing behind', async () => {
    const nics = await VirtualNics.start(directory, [
      { name: 'virtual:gen', wire: 'gen,count=3' },
      { name: 'virtual:sink', wire: 'sink' },
    ])
    expect(nics.sockets.map((socket) => existsSync(socket))).toEqual([true, true])
    expect(statSync(path.dirname(nics.sockets[0])).mode & 0o777).toBe(0o700)
    const { reports, final } = await nics.finalReports(never)
    expect(final).toBe(true)
    const [gen, sink] = reports
    expect(gen).toMatchObject({ finite: true, ended: false, breaches: [] })
    expect(gen.wires[0].counters).toMatchObject({ sent: 0, lost: 0, duplicated: 0 })
    expect(sink.finite).toBe(false)
    expect((await nics.quiesce(never)).every(({ ended, settled }) => ended && settled)).toBe(true)
    nics.assertAlive()
    await nics.close()
    await nics.close()
    expect(readdirSync(directory)).toEqual([])
    expect(existsSync(`/proc/${nics.pid}`)).toBe(false)
  })

  test('the sockets are gone as soon as their clients have come', async () => {
    const nics = await VirtualNics.start(directory, [{ name: 'virtual:sink', wire: 'sink' }])
    const client = UnixSocket.connect(nics.sockets[0])
    await until(() => readdirSync(directory).length === 0)
    client.close()
    await nics.close()
  })

  test('what is wrong with a wire is told as the child saw it', async () => {
    const wire = `record=${path.join(directory, 'no', 'out.pcap')}`
    const error = await failure(VirtualNics.start(directory, [{ name: `virtual:${wire}`, wire }]))
    expect(error.code).toBe('IXY_ERR_FILE')
    expect(error.message).toMatch(/no\/out\.pcap/)
    expect(readdirSync(directory)).toEqual([])
  })

  test('a killed child is noticed, by whoever waits and whoever asks', async () => {
    const nics = await VirtualNics.start(directory, [{ name: 'virtual:gen', wire: 'gen' }])
    process.kill(nics.pid, 'SIGSTOP')
    const report = nics.quiesce(never)
    process.kill(nics.pid, 'SIGKILL')
    const error = await failure(report)
    expect(error.code).toBe('IXY_ERR_DEVICE_GONE')
    expect(error.message).toMatch(/^the process of virtual:gen \(pid \d+\) was killed by SIGKILL/)
    expect(() => nics.assertAlive()).toThrow(error)
    expect(await failure(nics.quiesce(never))).toBe(error)
    expect((await nics.finalReports(never)).final).toBe(false)
    await nics.close()
    expect(readdirSync(directory)).toEqual([])
  })

  test('a child that hangs is killed', async () => {
    const nics = await VirtualNics.start(directory, [{ name: 'virtual:gen', wire: 'gen' }])
    process.kill(nics.pid, 'SIGSTOP')
    expect((await nics.finalReports(() => true)).final).toBe(false)
    const begin = performance.now()
    await nics.close()
    expect(performance.now() - begin).toBeLessThan(1500)
    expect(existsSync(`/proc/${nics.pid}`)).toBe(false)
  })

  test('a child that does not close its files in time is killed, and that is told', async () => {
    const nics = await VirtualNics.start(directory, [{ name: 'virtual:gen', wire: 'gen' }])
    process.kill(nics.pid, 'SIGSTOP')
    expect(await nics.close(100)).toMatchObject({ code: 'IXY_ERR_OUTPUT' })
    const other = await VirtualNics.start(directory, [{ name: 'virtual:gen', wire: 'gen' }])
    expect(await other.close()).toBeNull()
  })

  test('a start that is given up is over at once', async () => {
    const stop = new AbortController()
    const start = VirtualNics.start(directory, [{ name: 'virtual:gen', wire: 'gen' }], { stop: stop.signal })
    stop.abort()
    const begin = performance.now()
    expect((await failure(start)).code).toBe('IXY_ERR_STOP')
    expect(performance.now() - begin).toBeLessThan(1500)
    expect(readdirSync(directory)).toEqual([])
  })

  test('a program that is not there is an error, not a wait', async () => {
    const missing = path.join(directory, 'ixy-ts')
    const error = await failure(
      VirtualNics.start(directory, [{ name: 'virtual:gen', wire: 'gen' }], { program: missing }),
    )
    expect(['IXY_ERR_DEVICE_GONE', 'IXY_ERR_WORKER']).toContain(error.code)
    expect(readdirSync(directory)).toEqual([])
  })
})
