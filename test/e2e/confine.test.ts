/** `ixy-ts vnic --user … --confine`: judged by what the kernel says of the process, and by what is tried from inside. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { landlockVersion } from '../../src/linux/landlock.ts'
import { findUser } from '../../src/linux/privileges.ts'
import { whyNoSeccomp } from '../../src/linux/seccomp.ts'
import {
  MODULES,
  bundle,
  LAUNCHER,
  Tool,
  describeIf,
  ixy,
  missing,
  objects,
  sh,
  temporaryDirectory,
  testIf,
} from './support.ts'
import { copyPackage, nodeObstacle } from './unpacked.ts'

const directory = temporaryDirectory()
const version = landlockVersion()
const noKernel = whyNoSeccomp() ?? (typeof version === 'string' ? `Landlock: ${version}` : null)
const CONFINED =
  /confined: user [^,]+, no new privileges, seccomp \(\d+ system calls refused\), Landlock \(ABI \d+\)"/

/** A folder that user nobody can use for sockets and captures. */
function folderOf(name: string, uid: number | null): string {
  const folder = path.join(directory, name)
  mkdirSync(folder)
  chmodSync(directory, 0o755)
  if (uid !== null) chownSync(folder, uid, 0)
  return folder
}

/** Of each thread, by the kernel. */
function threads(pid: number): Record<string, string>[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const lines = readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8').split('\n')
    return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2) as [string, string]))
  })
}

interface End {
  balance: { offered: number; arrived: number; unaccounted: number }[]
  virtual: { wires: { wire: string; counters: Record<string, number> }[] }[]
}

describeIf(noKernel, 'a confined server', () => {
  test('every thread is filtered, and packets go through as always', async () => {
    const folder = folderOf('plain', null)
    const socket = path.join(folder, 'nic.sock')
    const capture = path.join(folder, 'out.pcap')
    // One that is there already.
    writeFileSync(capture, 'of another run')
    const vnic = new Tool([
      'vnic',
      socket,
      '--wire',
      `sink,record=${capture}`,
      '--json',
      '--quiet',
      '--confine-strict',
    ])
    await vnic.until(CONFINED, 'stderr')
    await vnic.until(/listening on/, 'stderr')
    const state = threads(vnic.pid)
    expect(state.length).toBeGreaterThan(4)
    for (const thread of state) {
      expect(thread).toMatchObject({ NoNewPrivs: '1', Seccomp: '2' })
      // Of root's power at most CAP_DAC_OVERRIDE.
      expect(Number.parseInt(thread['CapEff'], 16) & ~2).toBe(0)
    }

    const run = await ixy(
      'pktgen',
      `vfio-user:${socket}`,
      '-n',
      '20000',
      '--rate',
      '100kpps',
      '--json',
      '--quiet',
    )
    expect(run.code).toBe(0)
    const { code, stdout } = await vnic.kill('SIGTERM')
    expect(code).toBe(0)
    const end = objects(stdout, 'end')[0] as unknown as End
    expect(end.balance.map(({ unaccounted }) => unaccounted)).toEqual(end.balance.map(() => 0))
    // 24 bytes of file header; 16 of record header and 60 of frame each.
    expect(statSync(capture).size).toBe(24 + 20_000 * 76)
    expect(readdirSync(folder)).toEqual(['out.pcap'])
  })

  test('captures in several files are opened and removed as they fill', async () => {
    const folder = folderOf('several', null)
    const socket = path.join(folderOf('sockets', null), 'nic.sock')
    const record = `record=${path.join(folder, 'out.pcap')},filesize=100,files=2`
    const vnic = new Tool(['vnic', socket, '--wire', record, '--quiet', '--confine-strict'])
    await vnic.until(/listening on/, 'stderr')
    expect((await ixy('pktgen', `vfio-user:${socket}`, '-n', '5000', '--rate', '100kpps')).code).toBe(0)
    expect((await vnic.kill()).code).toBe(0)
    expect(readdirSync(folder)).toHaveLength(2)
  })

  test('forward takes from it all that its generator sends', async () => {
    const folder = folderOf('forward', null)
    const [socket, capture] = [path.join(folder, 'nic.sock'), path.join(folder, 'out.pcap')]
    const vnic = new Tool(['vnic', socket, '--wire', 'gen,count=20000', '--json', '--quiet', '--confine'])
    await vnic.until(/listening on/, 'stderr')
    const forward = new Tool([
      'forward',
      `vfio-user:${socket}`,
      `virtual:record=${capture}`,
      '--json',
      '-i',
      '0.1',
    ])
    await forward.until(/"event":"interval".*"device":"virtual:record[^\n]*"tx":\{"packets":[1-9]/)
    // Nothing moves any more.
    await forward.until(/("event":"interval"[^\n]*"tx":\{"packets":0[^\n]*\n[^\n]*){4}$/)
    const end = objects((await forward.kill()).stdout, 'end')[0] as unknown as End
    expect(end.balance.map(({ unaccounted }) => unaccounted)).toEqual(end.balance.map(() => 0))
    expect(statSync(capture).size).toBe(24 + 20_000 * 76)
    const { code, stdout } = await vnic.kill()
    expect(code).toBe(0)
    const [{ counters }] = (objects(stdout, 'end')[0] as unknown as End).virtual[0].wires
    expect(counters).toMatchObject({ sent: 20_000, undelivered: 0 })
  })

  test('what is tried from inside fails, and works without', () => {
    const program = bundle('confined', directory)
    const folder = folderOf('inside', null)
    const capture = path.join(directory, 'in.pcap')
    const outcomes = (how: string): Record<string, string> => {
      writeFileSync(capture, '')
      writeFileSync(path.join(directory, 'victim'), '')
      const { stdout, stderr } = spawnSync(process.execPath, [program, how, folder, capture, '1'], {
        encoding: 'utf8',
        timeout: 20_000,
        env: { ...process.env, ...MODULES },
      })
      expect(stderr).toBe('')
      return JSON.parse(stdout) as Record<string, string>
    }
    const works = {
      'the capture': '',
      'a signal to itself': '',
      'a socket': '',
      'a thread': '',
      'its socket removed': '',
    }
    expect(outcomes('confined')).toEqual({
      ...works,
      'a program': 'EPERM',
      'another file': 'EACCES',
      'a folder': 'EACCES',
      'a new file': 'EPERM',
      'a new folder': 'EPERM',
      'another mode': 'EPERM',
      'another name': 'EPERM',
      'a file removed': 'EACCES',
      'a signal': 'EPERM',
      'a connection': 'EPERM',
      ptrace: 'EPERM',
      io_uring: 'EPERM',
      'a name space': 'EPERM',
      openat2: 'ENOSYS',
      TCP: 'EPERM',
    })
    const free = outcomes('free')
    expect(free).toMatchObject({
      ...works,
      'a program': '',
      'another file': '',
      'a folder': '',
      'a new file': '',
      'a new folder': '',
      'another mode': '',
      'another name': '',
      'a file removed': '',
      'a signal': '',
      'a connection': '',
      'a name space': 'EINVAL',
      // Of a structure of no size that is known.
      openat2: expect.stringMatching(/^(EINVAL|E2BIG)$/),
      TCP: 'ECONNREFUSED',
    })
    expect(free['io_uring']).not.toBe('EPERM')
  })

  describe('on a kernel that lacks something', () => {
    const SECCOMP = '317'
    const LANDLOCK = '444,445,446'
    let program: string
    beforeAll(() => {
      program = bundle('on-lesser-kernel', directory)
    })
    const run = (lacking: string, ...options: string[]): { code: number | null; stderr: string } => {
      const vnic = ['vnic', path.join(directory, 'lesser.sock'), '--wire', 'sink', '-d', '0.2', '--quiet']
      const args = [program, lacking, process.execPath, LAUNCHER, ...vnic, ...options]
      const { status, stderr } = spawnSync(process.execPath, args, {
        encoding: 'utf8',
        timeout: 20_000,
        env: { ...process.env, ...MODULES },
      })
      return { code: status, stderr }
    }

    test.each([
      [
        'Landlock',
        LANDLOCK,
        /no new privileges, seccomp \(\d+ system calls refused\); without Landlock \(this kernel has none\)/,
      ],
      ['seccomp', SECCOMP, /no new privileges, Landlock \(ABI \d+\); without seccomp \(seccomp: ENOSYS/],
    ])('--confine goes on without %s and says so, --confine-strict refuses', (measure, lacking, line) => {
      const lenient = run(lacking, '--confine')
      expect(lenient).toEqual({ code: 0, stderr: expect.stringMatching(line) as string })
      const strict = run(lacking, '--confine-strict')
      expect(strict.stderr).toMatch(
        new RegExp(`^ixy-ts: --confine-strict: ${measure} .* \\[IXY_ERR_SYSTEM\\]\n$`),
      )
      expect(strict.code).toBe(4)
      expect(existsSync(path.join(directory, 'lesser.sock'))).toBe(false)
    })
  })
})

describeIf(missing({ root: true }) ?? nodeObstacle(), 'another user', () => {
  // A checkout may lie where user nobody can't read it, as below /root.
  let launcher: string
  beforeAll(() => {
    launcher = path.join(copyPackage(directory), 'bin/ixy-ts')
  })
  const nobody = process.getuid?.() === 0 ? findUser('nobody') : { name: '', uid: 0, gid: 0 }

  test.each([[['--confine']], [[]]])('all is theirs, and nothing of root is left: %p', async (options) => {
    const folder = folderOf(`theirs${options.length}`, nobody.uid)
    const runtime = folderOf(`runtime${options.length}`, nobody.uid)
    const socket = path.join(folder, 'nic.sock')
    const capture = path.join(folder, 'out.pcap')
    const vnic = new Tool(
      ['vnic', socket, '--wire', `sink,record=${capture}`, '--user', 'nobody', ...options],
      { env: { IXY_TS_RUNTIME_DIR: runtime }, launcher },
    )
    await vnic.until(/confined: user nobody/, 'stderr')
    await vnic.until(/listening on/, 'stderr')
    for (const thread of threads(vnic.pid)) {
      const { Uid, Gid, Groups, CapPrm, CapEff } = thread
      expect([Uid.split('\t'), Gid.split('\t'), Groups.trim()]).toEqual([
        Array<string>(4).fill(String(nobody.uid)),
        Array<string>(4).fill(String(nobody.gid)),
        '',
      ])
      expect([CapPrm, CapEff].map((hex) => Number.parseInt(hex, 16))).toEqual([0, 0])
    }
    for (const file of [socket, ...readdirSync(runtime).map((name) => path.join(runtime, name))])
      expect([file, statSync(file).uid]).toEqual([file, nobody.uid])
    expect(readdirSync(runtime)).toHaveLength(1)
    expect((await ixy('pktgen', `vfio-user:${socket}`, '-n', '100')).code).toBe(0)
    expect((await vnic.kill()).code).toBe(0)
    expect(statSync(capture)).toMatchObject({ uid: nobody.uid, size: 24 + 100 * 76 })
    expect(readdirSync(folder)).toEqual(['out.pcap'])
    expect(readdirSync(runtime)).toEqual([])
  })

  const title = 'a TAP is plugged in as root, and goes when the server does'
  testIf(missing({ root: true, tap: true, programs: ['ip'] }), title, async () => {
    const netns = `ixyts-${process.pid}-cf`
    const tap = `ixc${process.pid % 100000}`
    const inside = (...args: string[]): string => sh('ip', 'netns', 'exec', netns, ...args)
    sh('ip', 'netns', 'add', netns)
    try {
      const socket = path.join(folderOf('tap', nobody.uid), 'nic.sock')
      const server = [
        'vnic',
        socket,
        '--wire',
        `tap=${tap}`,
        '--user',
        'nobody',
        '--confine',
        '--json',
        '--quiet',
      ]
      const vnic = new Tool(server, { netns, launcher })
      await vnic.until(/listening on/, 'stderr')
      expect((await ixy('pktgen', `vfio-user:${socket}`, '-n', '1000', '--rate', '10kpps')).code).toBe(0)
      expect(inside('cat', `/sys/class/net/${tap}/statistics/rx_packets`).trim()).toBe('1000')
      const { code, stdout } = await vnic.kill()
      expect(code).toBe(0)
      const [{ counters }] = (objects(stdout, 'end')[0] as unknown as End).virtual[0].wires
      expect(counters).toMatchObject({ arrived: 1000, refused: 0 })
      expect(inside('ls', '/sys/class/net')).not.toContain(tap)
    } finally {
      sh('ip', 'netns', 'del', netns)
    }
  })

  test('a socket in a folder of root is refused, with what to do', async () => {
    const socket = path.join(folderOf('root', null), 'n.sock')
    const args = ['vnic', socket, '--wire', 'sink', '--user', 'nobody']
    const { code, stderr } = await new Tool(args, { launcher }).end()
    expect(stderr).toMatch(/^ixy-ts: .* by user nobody; .*install -d -o nobody .* \[IXY_ERR_FILE\]\n$/)
    expect(code).toBe(2)
  })
})
