/** Files over TCP, with busybox's nc in a guest; both ends must agree on the checksum. */
import assert from 'node:assert/strict'
import type { HostNetwork } from './host-network.ts'
import { type Started, start, until } from './processes.ts'
import type { Guest } from './qemu.ts'
import type { ScenarioContext } from './scenario.ts'

const PORT = 5000
/** For one file: under TCG, on a machine that has other work. */
const SECONDS = 90

/** At the end of its own input nc would end the connection: a FIFO that is open both ways has no end. */
const SILENCE = '[ -p /run/silence ] || mkfifo /run/silence'

/** The end that is not in a guest. */
export interface HostEnd {
  readonly test: ScenarioContext
  readonly network: HostNetwork
  readonly address: string
}

async function makeFile(guest: Guest, megabytes: number): Promise<string> {
  await guest.sh(
    `[ -f /tmp/file${megabytes} ] || dd if=/dev/urandom of=/tmp/file${megabytes} bs=1M count=${megabytes} 2>/dev/null`,
  )
  return (await guest.sh(`sha256sum </tmp/file${megabytes}`)).slice(0, 64)
}

/** The rate since `started`, of performance.now(). */
function rate(megabytes: number, started: number): string {
  const seconds = (performance.now() - started) / 1000
  return `${((megabytes * 8) / seconds).toFixed(0)} Mbit/s`
}

/** From guest to guest, whose address is `address`. Returns the rate. */
export async function guestToGuest(
  from: Guest,
  to: Guest,
  address: string,
  megabytes: number,
): Promise<string> {
  const sent = await makeFile(from, megabytes)
  const received = to.sh(`${SILENCE}; nc -l -p ${PORT} <>/run/silence | sha256sum`, SECONDS)
  // The listener must be there before the sender.
  await to.sh(`until netstat -tln | grep -q ':${PORT} '; do usleep 20000; done`)
  const started = performance.now()
  await from.sh(`nc ${address} ${PORT} </tmp/file${megabytes}`, SECONDS)
  assert.equal((await received).slice(0, 64), sent)
  return rate(megabytes, started)
}

/** From a guest to the host. Returns the rate. */
export async function guestToHost(guest: Guest, host: HostEnd, megabytes: number): Promise<string> {
  const sent = await makeFile(guest, megabytes)
  const server = await serve(host, 0)
  const started = performance.now()
  await guest.sh(`nc ${host.address} ${PORT} </tmp/file${megabytes}`, SECONDS)
  assert.equal(await server.ended, 0, server.output())
  assert.equal(lastLine(server), sent)
  return rate(megabytes, started)
}

/** From the host to a guest. Returns the rate. */
export async function hostToGuest(guest: Guest, host: HostEnd, megabytes: number): Promise<string> {
  const server = await serve(host, megabytes)
  const started = performance.now()
  const received = await guest.sh(
    `${SILENCE}; nc ${host.address} ${PORT} <>/run/silence | sha256sum`,
    SECONDS,
  )
  assert.equal(await server.ended, 0, server.output())
  assert.equal(received.slice(0, 64), lastLine(server))
  return rate(megabytes, started)
}

/** node -e SERVER <address> <megabytes to send>: for one connection; 0 receives. Prints the checksum at its end. */
const SERVER = `
const { createHash, randomBytes } = require('crypto')
const [address, megabytes] = process.argv.slice(1)
const server = require('net').createServer((socket) => {
  server.close()
  const hash = createHash('sha256')
  if (megabytes > 0) {
    const data = randomBytes(megabytes << 20)
    hash.update(data)
    socket.end(data)
    socket.resume()
  } else socket.on('data', (data) => hash.update(data))
  socket.on('close', () => console.log(hash.digest('hex')))
})
server.listen(${PORT}, address, () => console.log('listening'))
`

async function serve({ test, network, address }: HostEnd, megabytes: number): Promise<Started> {
  const server = start(network.inside([process.execPath, '-e', SERVER, address, String(megabytes)]))
  test.cleanup(() => server.stop())
  await until('the TCP server listens', 10, () => server.output().includes('listening'))
  return server
}

function lastLine(process: Started): string | undefined {
  return process.output().trim().split('\n').at(-1)
}
