/** Systems that don't give what is asked for. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { addFunction } from '../pci/fake-sysfs.ts'
import { LAUNCHER, Tool, describeIf, missing, objects, temporaryDirectory, testIf } from './support.ts'

const directory = temporaryDirectory()

/** Runs ixy-ts behind the lines of a bash script. */
function behind(
  script: string,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  const command = ['-c', `${script}\nexec "$0" "$@"`, process.execPath, LAUNCHER, ...args]
  return spawnSync('bash', command, {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, IXY_TS_RUNTIME_DIR: path.join(directory, 'run') },
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

  test('is no obstacle: the TypeScript back end is used, with a warning for all workers together', () => {
    const args = [`vfio-user:${socket}`, '--queues', '2', '--flows', '64', '--count', '20000', ...quiet]
    const { status, stdout, stderr } = behind(ULIMIT, 'pktgen', ...args)
    const warning = { level: 40, msg: expect.stringMatching(/ulimit -v.* using ts/) }
    expect(objects(stderr)).toEqual(fits ? [] : [expect.objectContaining(warning)])
    const [end] = objects(stdout, 'end') as { devices: unknown[] }[]
    expect(end.devices[0]).toMatchObject({ queue: null, tx: { packets: 20_000 } })
    expect(status).toBe(0)
  })

  testIf(reason, 'is an error where the other back end was asked for', () => {
    const { status, stderr } = behind(ULIMIT, 'pktgen', `vfio-user:${socket}`, '--backend', 'wasm', ...quiet)
    expect(stderr).toMatch(/^ixy-ts: .*\(ulimit -v unlimited\) or use --backend ts \[IXY_ERR_SYSTEM\]\n$/)
    expect(status).toBe(4)
  })

  testIf(reason, 'is an error for virtual NICs, which tells what to do', () => {
    const { status, stderr } = behind(ULIMIT, 'pktgen', 'virtual:sink', ...quiet)
    expect(stderr).toMatch(
      /^ixy-ts: .*virtual NICs.*; .*NODE_OPTIONS=--disable-wasm-trap-handler \[IXY_ERR_SYSTEM\]\n$/,
    )
    expect(status).toBe(4)
  })

  test('is enough for virtual NICs when V8 is told to do without guard pages', () => {
    const script = `${ULIMIT}\nexport NODE_OPTIONS=--disable-wasm-trap-handler`
    const { status, stdout } = behind(script, 'pktgen', 'virtual:sink', '--count', '1000', ...quiet)
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
  ])('%s', (_, script, message) => {
    const { status, stdout, stderr } = behind(script, ...PKTGEN)
    // V8 itself has something to say on --jitless.
    const last = stderr.trimEnd().split('\n').at(-1)
    expect(last).toMatch(/^ixy-ts: .* \[IXY_ERR_SYSTEM\]$/)
    expect(last).toMatch(message)
    expect(last).not.toMatch(/report it|less busy/)
    expect(stdout).toBe('')
    expect(status).toBe(4)
  })

  test('open files: at whatever it fails, from the first to the last', () => {
    let failures = 0
    for (let files = 22; files <= 32; files++) {
      const { status, stderr } = behind(`ulimit -n ${files}`, ...PKTGEN)
      if (status === 0) continue
      failures++
      // On a busy machine a warning may come before.
      const last = stderr.trimEnd().split('\n').at(-1)
      expect(last).toMatch(
        /^ixy-ts: .*open files.*; raise (it|the limit): ulimit -n 4096 \[IXY_ERR_SYSTEM\]$/,
      )
      expect(status).toBe(4)
    }
    expect(failures).toBeGreaterThan(2)
  })

  describeIf(cgroupObstacle(), 'processes and threads', () => {
    const group = `${cgroupRoot()}/ixy-ts-test-${process.pid}`
    beforeAll(() => mkdirSync(group))
    afterAll(() => rmdirSync(group))

    // The child isn't started; it aborts; it waits for threads that it doesn't get.
    test.each([8, 9, 12, 13])('pids.max %i', (max) => {
      writeFileSync(path.join(group, 'pids.max'), String(max))
      const { status, stderr } = behind(`echo $$ > ${group}/cgroup.procs`, ...PKTGEN)
      expect(stderr).toMatch(
        /ixy-ts: .*ulimit -u.*pids\.max.*; raise it, or end other processes \[IXY_ERR_SYSTEM\]\n$/,
      )
      expect(status).toBe(4)
    })
  })

  describeIf(missing({ root: true, programs: ['unshare', 'mount'] }), 'no /proc', () => {
    test('says so', () => {
      const script = `[ -n "$IXY_TEST_NAMESPACE" ] || IXY_TEST_NAMESPACE=1 exec unshare -m bash -c "$BASH_EXECUTION_STRING" "$0" "$@"
        mount -t tmpfs none /proc`
      const { status, stderr } = behind(script, ...PKTGEN)
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

  test('says how to set up huge pages when none are reserved', () => {
    const { status, stdout, stderr } = behind(NAMESPACE, ...FORWARD)
    expect(stderr).toMatch(
      /^ixy-ts: no huge pages are reserved; run: sudo \/.*\/setup-hugetlbfs\.sh \[IXY_ERR_NO_HUGEPAGES\]\n$/,
    )
    expect(stdout).toBe('')
    expect(status).toBe(4)
    // doctor knows it beforehand, in the same words.
    expect(behind(NAMESPACE, 'doctor', address)).toMatchObject({ status, stderr })
  })

  test('says how many it needs when there are none left', () => {
    const full = `${NAMESPACE}\n mount -t hugetlbfs -o pagesize=2M,size=0 none '${mounted}'`
    const { status, stderr } = behind(full, ...FORWARD)
    expect(stderr).toMatch(
      /^ixy-ts: (\d+) huge pages of 2048 KiB are needed, 0 are free; .*setup-hugetlbfs\.sh \1 \[IXY_ERR_NO_HUGEPAGES\]\n$/,
    )
    expect(status).toBe(4)
    expect(behind(full, 'doctor', address)).toMatchObject({ status, stderr })
  })
})
