/** The Linux stacks at both ends of two TAPs judge what ixy-ts forwards between them. */
import { randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Tool, describeIf, missing, sh, temporaryDirectory } from './support.ts'

const programs = ['ip', 'ping', 'iperf3', 'sha256sum']

describeIf(missing({ root: true, programs }), 'forward between two TAPs in network namespaces', () => {
  const directory = temporaryDirectory()
  const id = process.pid
  const ends = ['a', 'b'].map((name, i) => ({
    netns: `ixyts-${id}-${name}`,
    tap: `ixt${id % 100000}${name}`,
    ipv4: `10.99.0.${i + 1}`,
    ipv6: `fd00:99::${i + 1}`,
  }))
  const [a, b] = ends
  const inside = (end: { netns: string }, ...args: string[]): string =>
    sh('ip', 'netns', 'exec', end.netns, ...args)
  let tool: Tool

  beforeAll(async () => {
    tool = new Tool(['forward', ...ends.map(({ tap }) => `virtual:tap=${tap}`)])
    await tool.until(/RX:/)
    for (const { netns, tap, ipv4, ipv6 } of ends) {
      sh('ip', 'netns', 'add', netns)
      sh('ip', 'link', 'set', tap, 'netns', netns)
      inside({ netns }, 'ip', 'link', 'set', 'lo', 'up')
      inside({ netns }, 'ip', 'addr', 'add', `${ipv4}/24`, 'dev', tap)
      inside({ netns }, 'ip', 'addr', 'add', `${ipv6}/64`, 'dev', tap, 'nodad')
      inside({ netns }, 'ip', 'link', 'set', tap, 'up')
    }
  }, 60_000)

  afterAll(async () => {
    for (const { netns } of ends) sh('sh', '-c', `ip netns del ${netns} 2>/dev/null || true`)
    await tool.kill()
  })

  test.each([
    ['IPv4, a to b', a, b.ipv4],
    ['IPv4, b to a', b, a.ipv4],
    ['IPv6, a to b', a, b.ipv6],
    ['IPv6, b to a', b, a.ipv6],
  ])('ping -c 200 without loss: %s', (_, from, to) => {
    expect(inside(from, 'ping', '-c', '200', '-i', '0.01', '-q', to)).toMatch(
      /200 packets transmitted, 200 received, 0% packet loss/,
    )
  })

  test('iperf3 over TCP for 5 s', async () => {
    const server = spawn('ip', ['netns', 'exec', b.netns, 'iperf3', '-s', '-1'], { stdio: 'ignore' })
    const ended = new Promise((resolve) => server.once('close', resolve))
    const listening = `for i in $(seq 200); do ss -ltn | grep -q :5201 && exit 0; sleep 0.05; done; exit 1`
    inside(b, 'sh', '-c', listening)
    const result = JSON.parse(inside(a, 'iperf3', '-c', b.ipv4, '-t', '5', '-J')) as {
      end: { sum_received: { bytes: number; bits_per_second: number } }
    }
    await ended
    expect(result.end.sum_received.bytes).toBeGreaterThan(10e6)
  }, 60_000)

  test('100 MB over TCP, both SHA-256 the same', async () => {
    const [source, target] = [path.join(directory, 'source'), path.join(directory, 'target')]
    const content = randomBytes(100_000_000)
    writeFileSync(source, content)
    const script = (code: string): string[] => [process.execPath, '-e', code]
    const receive = `const s = require('net').createServer((c) => { c.pipe(require('fs').createWriteStream('${target}')).on('close', () => s.close()) }).listen(7000, '${b.ipv4}', () => console.log('ready'))`
    const receiver = spawn('ip', ['netns', 'exec', b.netns, ...script(receive)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => receiver.once('close', resolve))
    await new Promise((resolve) => receiver.stdout.once('data', resolve))
    inside(
      a,
      ...script(
        `require('fs').createReadStream('${source}').pipe(require('net').connect(7000, '${b.ipv4}'))`,
      ),
    )
    await ended
    const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
    expect(sha256(readFileSync(target))).toBe(sha256(content))
  }, 60_000)
})
