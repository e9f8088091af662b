/** Systems that don't give what is asked for. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { addFunction } from '../pci/fake-sysfs.ts'
import { LAUNCHER, Tool, describeIf, missing, objects, temporaryDirectory, testIf } from './support.ts'
import { copyPackage, nodeObstacle } from './unpacked.ts'

const directory = temporaryDirectory()

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs ixy-ts behind the lines of a bash script. */
function behind(script: string, ...args: string[]): Promise<Ended> {
  const command = ['-c', `${script}\nexec "$0" "$@"`, process.execPath, LAUNCHER, ...args]
  const child = spawn('bash', command, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    env: { ...process.env, IXY_TS_RUNTIME_DIR: path.join(directory, 'run') },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (status) => resolve({ status, stdout, stderr }))
  })
}

describe('an address space too small for the WebAssembly back end', () => {
  const ULIMIT = 'ulimit -v 6000000'
  // From Node.js 24 on, a WebAssembly memory makes do with less.
  const probe = `${ULIMIT}; exec "$0" -e 'new WebAssembly.Memory({ initial: 1000, maximum: 1000 })'`
  const fits = spawnSync('bash', ['-c', probe, process.execPath]).status === 0

  const reason = fits ? 'this Node.js makes do with less address space' : null
  const socket = path.join(directory, 'nic.sock')
  const quiet = ['--json', '--log-level', 'warn']
  let vnic: Tool

  beforeAll(async () => {
    vnic = new Tool(['vnic', socket, '--wire', 'sink', '--json', '--quiet'])
    await vnic.until(/listening on/, 'stderr')
  })
  afterAll(() => vnic.kill())

  test('is no obstacle: the TypeScript back end is used, with a warning for all workers together', async () => {
    const args = [`vfio-user:${socket}`, '--queues', '2', '--flows', '64', '--count', '20000', ...quiet]
    const { status, stdout, stderr } = await behind(ULIMIT, 'pktgen', ...args)
    const warning = { level: 40, msg: expect.stringMatching(/ulimit -v.* using ts/) }
    expect(objects(stderr)).toEqual(fits ? [] : [expect.objectContaining(warning)])
    const [end] = objects(stdout, 'end') as { devices: unknown[] }[]
    expect(end.devices[0]).toMatchObject({ queue: null, tx: { packets: 20_000 } })
    expect(status).toBe(0)
  })

  testIf(reason, 'is an error where the other back end was asked for', async () => {
    const { status, stderr } = await behind(
      ULIMIT,
      'pktgen',
      `vfio-user:${socket}`,
      '--backend',
      'wasm',
      ...quiet,
    )
    expect(stderr).toMatch(/^ixy-ts: .*\(ulimit -v unlimited\) or use --backend ts \[IXY_ERR_SYSTEM\]\n$/)
    expect(status).toBe(4)
  })

  testIf(reason, 'is an error for virtual NICs, which tells what to do', async () => {
    const { status, stderr } = await behind(ULIMIT, 'pktgen', 'virtual:sink', ...quiet)
    expect(stderr).toMatch(
      /^ixy-ts: .*virtual NICs.*; .*NODE_OPTIONS=--disable-wasm-trap-handler \[IXY_ERR_SYSTEM\]\n$/,
    )
    expect(status).toBe(4)
  })

  test('is enough for virtual NICs when V8 is told to do without guard pages', async () => {
    const script = `${ULIMIT}\nexport NODE_OPTIONS=--disable-wasm-trap-handler`
    const { status, stdout } = await behind(script, 'pktgen', 'virtual:sink', '--count', '1000', ...quiet)
    expect(objects(stdout, 'end')).toMatchObject([{ loss: { lost: 0, of: 1000 } }])
    expect(status).toBe(0)
  })
})

describe('a limit that is hit is named, with what to do', () => {
  const PKTGEN = ['pktgen', 'virtual:sink', '-n', '5', '--quiet', '--log-level', 'warn']

  test.each<[string, string, RegExp]>([
    ['size of files', 'ulimit -f 4000', /EFBIG, .*; raise it: ulimit -f unlimited \[IXY_ERR_SYSTEM\]/],
    ['a folder that is gone', 'cd "$(mktemp -d)"; rmdir "$PWD"', /working directory has been deleted/],
    ['no WebAssembly', 'export NODE_OPTIONS=--jitless', /WebAssembly; .*NODE_OPTIONS is '--jitless'/],
    ['no addons', 'export NODE_OPTIONS=--no-addons', /addons.*NODE_OPTIONS is '--no-addons'/],
    [
      'no eval',
      'export NODE_OPTIONS=--disallow-code-generation-from-strings',
      /leave out --disallow-code-generation-from-strings/,
    ],
  ])('%s', async (_, script, message) => {
    const { status, stdout, stderr } = await behind(script, ...PKTGEN)
    // V8 itself has something to say on --jitless.
    const last = stderr.trimEnd().split('\n').at(-1)
    expect(last).toMatch(/^ixy-ts: .* \[IXY_ERR_SYSTEM\]$/)
    expect(last).toMatch(message)
    expect(last).not.toMatch(/report it|less busy/)
    expect(stdout).toBe('')
    expect(status).toBe(4)
  })

  test('open files: at whatever it fails, from the first to the last', async () => {
    const limits = Array.from({ length: 11 }, (_, i) => 22 + i)
    // Some of them wait for what doesn't come: all at the same time.
    const runs = await Promise.all(limits.map((files) => behind(`ulimit -n ${files}`, ...PKTGEN)))
    const failed = runs.filter(({ status }) => status !== 0)
    for (const { status, stderr } of failed) {
      // On a busy machine a warning may come before.
      const last = stderr.trimEnd().split('\n').at(-1)
      expect(last).toMatch(
        /^ixy-ts: .*open files.*; raise (it|the limit): ulimit -n 4096 \[IXY_ERR_SYSTEM\]$/,
      )
      expect(status).toBe(4)
    }
    expect(failed.length).toBeGreaterThan(2)
  })

  describeIf(cgroupObstacle(), 'processes and threads', () => {
    // The program isn't loaded; the child isn't started; it aborts, or waits for threads that it doesn't get.
    const limits = [8, 9, 12, 13, 14, 17]
    const groupOf = (max: number): string => `${cgroupRoot()}/ixy-ts-test-${process.pid}-${max}`
    let runs: ReadonlyMap<number, Promise<Ended>>
    beforeAll(() => {
      runs = new Map(
        limits.map((max) => {
          mkdirSync(groupOf(max))
          writeFileSync(path.join(groupOf(max), 'pids.max'), String(max))
          return [max, behind(`echo $$ > ${groupOf(max)}/cgroup.procs`, ...PKTGEN)]
        }),
      )
    })
    afterAll(() => limits.forEach((max) => rmdirSync(groupOf(max))))

    test.each(limits)('pids.max %i', async (max) => {
      const { status, stderr } = (await runs.get(max)) ?? {}
      expect(stderr).toMatch(
        /ixy-ts: .*ulimit -u.*pids\.max.*; raise it, or end other processes \[IXY_ERR_SYSTEM\]\n$/,
      )
      expect(status).toBe(4)
    })
  })

  testIf(missing({ root: true }) ?? nodeObstacle(), 'processes and threads of a user', () => {
    const launcher = path.join(copyPackage(directory), 'bin/ixy-ts')
    const command = ['-c', 'ulimit -u 9; exec "$0" "$@"', process.execPath, launcher, ...PKTGEN]
    const nobodyElse = { uid: 64_999, gid: 64_999, cwd: '/', encoding: 'utf8' } as const
    const { status, stderr } = spawnSync('bash', command, nobodyElse)
    expect(stderr).toMatch(/^ixy-ts: .*ulimit -u.*; raise it, or end other processes \[IXY_ERR_SYSTEM\]\n$/)
    expect(status).toBe(4)
  })

  describeIf(missing({ root: true, programs: ['unshare', 'mount'] }), 'no /proc', () => {
    test('says so', async () => {
      const script = `[ -n "$IXY_TEST_NAMESPACE" ] || IXY_TEST_NAMESPACE=1 exec unshare -m bash -c "$BASH_EXECUTION_STRING" "$0" "$@"
        mount -t tmpfs none /proc`
      const { status, stderr } = await behind(script, ...PKTGEN)
      expect(stderr).toMatch(
        /^ixy-ts: \/proc doesn't show this process; mount it here: .* \[IXY_ERR_SYSTEM\]\n$/,
      )
      expect(status).toBe(4)
    })
  })
})

/** Where groups with a limit on processes can be made: cgroup v1 or v2. */
function cgroupRoot(): string | null {
  if (existsSync('/sys/fs/cgroup/pids/cgroup.procs')) return '/sys/fs/cgroup/pids'
  const control = '/sys/fs/cgroup/cgroup.subtree_control'
  return existsSync(control) && readFileSync(control, 'utf8').includes('pids') ? '/sys/fs/cgroup' : null
}

function cgroupObstacle(): string | null {
  const obstacle = missing({ root: true })
  if (obstacle !== null) return obstacle
  const root = cgroupRoot()
  if (root === null) return 'needs the pids controller of cgroups'
  try {
    const probe = `${root}/ixy-ts-probe-${process.pid}`
    mkdirSync(probe)
    rmdirSync(probe)
    return null
  } catch (error) {
    return String(error)
  }
}

function mountObstacle(): string | null {
  const obstacle = missing({ root: true, programs: ['unshare', 'mount', 'awk'] })
  if (obstacle !== null) return obstacle
  const { status } = spawnSync('unshare', ['-m', 'mount', '-t', 'hugetlbfs', 'none', directory])
  return status === 0 ? null : 'needs a mount namespace and hugetlbfs'
}

/**
 * In a mount namespace of its own, whose /sys is a made-up tree with one 82599 and no huge pages, and where no hugetlbfs
 * is mounted. The address is one that no real card has.
 */
describeIf(mountObstacle(), 'a card without IOMMU', () => {
  const address = 'ffff:1f:1f.7'
  const sysfs = path.join(directory, 'sys')
  const mounted = path.join(directory, 'hugetlbfs')
  const NAMESPACE = `
    [ -n "$IXY_TEST_NAMESPACE" ] || IXY_TEST_NAMESPACE=1 exec unshare -m bash -c "$BASH_EXECUTION_STRING" "$0" "$@"
    set -e
    awk '$3 == "hugetlbfs" { print $2 }' /proc/mounts | while read -r mount; do umount "$mount"; done
    mount --bind '${sysfs}' /sys`
  const FORWARD = ['forward', address, 'virtual:sink', '--log-level', 'warn']

  beforeAll(() => {
    addFunction(sysfs, { address })
    mkdirSync(mounted)
  })

  test('says how to set up huge pages when none are reserved', async () => {
    const { status, stdout, stderr } = await behind(NAMESPACE, ...FORWARD)
    expect(stderr).toMatch(
      /^ixy-ts: no huge pages are reserved; run: sudo \/.*\/setup-hugetlbfs\.sh \[IXY_ERR_NO_HUGEPAGES\]\n$/,
    )
    expect(stdout).toBe('')
    expect(status).toBe(4)
    // doctor knows it beforehand, in the same words.
    expect(await behind(NAMESPACE, 'doctor', address)).toMatchObject({ status, stderr })
  })

  test('says how many it needs when there are none left', async () => {
    const full = `${NAMESPACE}\n mount -t hugetlbfs -o pagesize=2M,size=0 none '${mounted}'`
    const { status, stderr } = await behind(full, ...FORWARD)
    expect(stderr).toMatch(
      /^ixy-ts: (\d+) huge pages of 2048 KiB are needed, 0 are free; .*setup-hugetlbfs\.sh \1 \[IXY_ERR_NO_HUGEPAGES\]\n$/,
    )
    expect(status).toBe(4)
    expect(await behind(full, 'doctor', address)).toMatchObject({ status, stderr })
  })
})
