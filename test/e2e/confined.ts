/**
 * Tries from inside what a confined server can't do, and writes a JSON object of outcomes: '' or the name of the error.
 * Arguments: `free` or `confined`, a folder for sockets, a file to be read, a port where nobody listens.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { Confinement } from '../../src/cli/confinement.ts'
import { check, declare, LinuxError } from '../../src/linux/libc.ts'
import { UnixListener, UnixSocket } from '../../src/linux/unix-socket.ts'

const [how, folder, capture, port] = process.argv.slice(2)
const socket = path.join(folder, 'inside.sock')

const confinement = new Confinement({ confine: how === 'confined', confineStrict: false })
confinement.enter({ sockets: [socket], claims: [{ use: 'read', resource: capture }] })
const listener = UnixListener.listen(socket)
confinement.seal()

const syscall = declare<(number: number, a: number, b: number, c: number) => number>(
  'long syscall(long number, long a, long b, long c)',
)

function nameOf(error: unknown): string {
  if (error instanceof LinuxError) return error.errno
  return (error as NodeJS.ErrnoException).code ?? String(error)
}

const outcomes: Record<string, string> = {}
function attempt(name: string, work: () => unknown): void {
  try {
    work()
    outcomes[name] = ''
  } catch (error) {
    outcomes[name] = nameOf(error)
  }
}

attempt('a program', () => {
  const { error } = spawnSync('/bin/true')
  if (error !== undefined) throw error
})
attempt('the capture', () => fs.readFileSync(capture))
attempt('another file', () => fs.readFileSync('/etc/hostname'))
attempt('a folder', () => fs.readdirSync('/'))
attempt('a new file', () => fs.writeFileSync(path.join(folder, 'new'), ''))
attempt('a new folder', () => fs.mkdirSync(path.join(folder, 'folder')))
attempt('another mode', () => fs.chmodSync(capture, 0o600))
attempt('another name', () => fs.renameSync(capture, capture))
attempt('a file removed', () => fs.unlinkSync(path.join(path.dirname(folder), 'victim')))
attempt('a signal', () => process.kill(process.ppid, 0))
attempt('a signal to itself', () => process.kill(process.pid, 0))
attempt('a socket', () => UnixSocket.pair().forEach((end) => end.close()))
attempt('a connection', () => UnixSocket.connect(socket).close())
// ptrace(PTRACE_TRACEME) isn't undone; io_uring_setup and userfaultfd get arguments that are refused with another error.
attempt('ptrace', () => check(Number(syscall(101, 0x4206, 1, 0)), 'ptrace'))
attempt('io_uring', () => check(Number(syscall(425, 0, 0, 0)), 'io_uring_setup'))
attempt('a name space', () => check(Number(syscall(272, -1, 0, 0)), 'unshare'))
attempt('openat2', () => check(Number(syscall(437, -100, 0, 0)), 'openat2'))
attempt('its socket removed', () => fs.unlinkSync(socket))
listener.close()

async function main(): Promise<void> {
  outcomes['TCP'] = await new Promise((resolve) => {
    try {
      const client = connect(Number(port), '127.0.0.1')
      client.on('error', (error) => resolve(nameOf(error)))
      client.on('connect', () => resolve(''))
    } catch (error) {
      resolve(nameOf(error))
    }
  })
  outcomes['a thread'] = await new Promise((resolve) => {
    const worker = new Worker('0', { eval: true })
    worker.on('error', (error) => resolve(nameOf(error)))
    worker.on('exit', (code) => resolve(code === 0 ? '' : `exit ${code}`))
  })
  process.stdout.write(JSON.stringify(outcomes))
}

void main()
