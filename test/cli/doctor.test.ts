/** What `ixy-ts doctor` says of machines with all sorts of cards, and that its commands mend what it finds. */
import { Chalk } from 'chalk'
import { spawnSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootWith } from '../../src/cli/doctor/boot.ts'
import { type CardOptions, examineCard } from '../../src/cli/doctor/card.ts'
import { type Finding, type Machine, obstacleOf } from '../../src/cli/doctor/finding.ts'
import { examineOther } from '../../src/cli/doctor/other.ts'
import { diagnosisLines, findingObject, verdictObject } from '../../src/cli/doctor/print.ts'
import { examineTuning } from '../../src/cli/doctor/tuning.ts'
import { DRIVERS } from '../../src/driver/registry.ts'
import { asIxyError } from '../../src/errors.ts'
import { formatCpus } from '../../src/linux/numa.ts'
import { parseDevice } from '../../src/pci/address.ts'
import { lockDevice } from '../../src/pci/lock.ts'
import { openSysfs } from '../../src/pci/sysfs.ts'
import { openVfio } from '../../src/pci/vfio.ts'
import { requireEvents } from '../events.ts'
import { addFunction, type FakeFunction, write } from '../pci/fake-sysfs.ts'

const CARD = '0000:03:00.0'
const PAGES = 'kernel/mm/hugepages/hugepages-2048kB'
const MIB = 2 ** 20

let root: string
let machine: Machine
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ixy-doctor-'))
  const roots = {
    sysfsRoot: root,
    procNet: join(root, 'net'),
    lockDirectory: join(root, 'locks'),
    vfioDirectory: join(root, 'vfio'),
  }
  for (const name of ['locks', 'huge', 'net']) mkdirSync(join(root, name))
  machine = {
    roots,
    rights: {
      capabilities: ['ipc_lock', 'sys_admin'],
      lockedMemory: 8 * MIB,
      hugepageMounts: [{ path: join(root, 'huge'), pageBytes: 2 * MIB }],
    },
    cpus: [0, 1, 2, 3],
    cpuInfo: 'vendor_id : GenuineIntel',
  }
})
afterEach(() => rmSync(root, { recursive: true }))

const add = (fn: Partial<FakeFunction> = {}) => addFunction(root, { address: CARD, ...fn })
const reserve = (total: number, free: number) => {
  write(join(root, PAGES, 'nr_hugepages'), `${total}\n`)
  write(join(root, PAGES, 'free_hugepages'), `${free}\n`)
}
const loadVfio = () => {
  mkdirSync(join(root, 'bus/pci/drivers/vfio-pci'), { recursive: true })
  write(join(root, 'vfio/vfio'), '')
}
const examine = (options: Partial<CardOptions> = {}) =>
  examineCard(CARD, { access: null, force: false, queues: 1, devices: 2, ...options }, machine)
const found = (findings: readonly Finding[], name: string) => findings.find(({ check }) => check === name)
const status = (name: string, options: Partial<CardOptions> = {}) =>
  found(examine(options).findings, name)?.status
const without = (...names: string[]): void => {
  const capabilities = machine.rights.capabilities.filter((name) => !names.includes(name))
  machine = { ...machine, rights: { ...machine.rights, capabilities } }
}

/** Runs the commands; sudo and modprobe are the test's. */
function mend(findings: readonly Finding[], name: string): void {
  const commands = found(findings, name)?.commands ?? []
  expect(commands).not.toEqual([])
  const stand = `sudo() { "$@"; }
    modprobe() { mkdir -p '${root}/bus/pci/drivers/'$1 '${root}/vfio'; : >'${root}/vfio/vfio'; }`
  const { status, stderr } = spawnSync('sh', ['-euc', [stand, ...commands].join('\n')], { encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
}

describe('a card', () => {
  test('that all is well with: by sysfs, with what an IOMMU would be good for', () => {
    add({ driver: 'ixgbe', interfaces: [{ name: 'ixyfake0' }] })
    reserve(64, 64)
    const diagnosis = examine()
    expect(diagnosis.access).toBe('sysfs')
    expect(diagnosis.findings.filter((finding) => finding.status === 'fail')).toEqual([])
    expect(found(diagnosis.findings, 'iommu')).toMatchObject({ status: 'warn', commands: [] })
    const lines = diagnosisLines(diagnosis, new Chalk({ level: 0 }))
    expect(lines[0]).toBe(CARD)
    expect(lines).toContain('  ok    model       Intel 82599ES 10GbE SFP+, driver ixgbe')
    expect(lines).toContain('  ok    huge-pages  9 MiB needed, 64 of 64 huge pages of 2048 KiB free')
    expect(lines.at(-2)).toBe('  a run can start, by sysfs')
  })

  test('that all is well with: by VFIO, without any privilege', () => {
    add({ driver: 'vfio-pci', iommuGroup: '9', iommuType: 'DMA-FQ' })
    loadVfio()
    write(join(root, 'vfio/9'), '')
    reserve(64, 64)
    without('ipc_lock', 'sys_admin')
    machine = { ...machine, rights: { ...machine.rights, lockedMemory: 10 * MIB } }
    const { access, findings } = examine()
    expect(access).toBe('vfio')
    expect(findings.filter((finding) => finding.status !== 'ok')).toEqual([])
  })

  test('that is none, or nobody drives: nothing else is looked at', () => {
    expect(examine().findings).toMatchObject([
      { status: 'fail', error: { code: 'IXY_ERR_DEVICE_NOT_FOUND' } },
    ])
    add({ deviceId: 0x10d3 })
    expect(examine().findings).toMatchObject([
      { status: 'fail', error: { code: 'IXY_ERR_DEVICE_UNSUPPORTED' } },
    ])
    expect(found(examine({ force: true }).findings, 'model')?.status).toBe('ok')
  })

  test('in use: the commands take its interface down, but never the one with the default route', () => {
    add({ driver: 'ixgbe', interfaces: [{ name: 'ixyfake0', flags: 3 }] })
    const commands = () => found(examine().findings, 'use')?.commands
    expect(commands()).toEqual(['sudo ip addr flush dev ixyfake0', 'sudo ip link set ixyfake0 down'])
    write(join(root, 'net/route'), 'Iface\tDestination\tGateway\nixyfake0\t0002000A\t00000000\n')
    expect(commands()).toHaveLength(2)
    write(join(root, 'net/route'), 'Iface\tDestination\tGateway\nixyfake0\t00000000\t0102000A\n')
    expect(commands()).toEqual([])
    write(join(root, 'net/route'), '')
    write(
      join(root, 'net/ipv6_route'),
      `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fe80 00000400 1 0 3 ixyfake0\n`,
    )
    expect(commands()).toEqual([])
    expect(status('use', { force: true })).toBe('ok')
  })

  test('of another ixy-ts', () => {
    add()
    const lock = lockDevice(CARD, join(root, 'locks'))
    expect(found(examine().findings, 'owner')?.text).toContain(`(pid ${process.pid})`)
    lock.release()
    expect(status('owner')).toBe('ok')
  })

  test('whose group another program has open', () => {
    add({ driver: 'vfio-pci', iommuGroup: '9' })
    loadVfio()
    const group = join(root, 'vfio/9')
    write(group, '')
    expect(status('owner')).toBe('ok')
    const holder = spawnSync('sh', ['-c', `sleep 60 <'${group}' >/dev/null 2>&1 & echo $!`], {
      encoding: 'utf8',
    })
    try {
      expect(found(examine().findings, 'owner')?.error?.code).toBe('IXY_ERR_DEVICE_IN_USE')
    } finally {
      process.kill(Number(holder.stdout))
    }
  })

  test('behind an IOMMU that Linux does not use: the word for the kernel, as the machine has it', () => {
    add()
    write(join(root, 'firmware/acpi/tables/DMAR'), '')
    expect(found(examine().findings, 'iommu')?.text).toMatch(/boot with intel_iommu=on$/)
    const debian = bootWith('intel_iommu=on', (program) => program === 'update-grub')
    expect(debian).toEqual([
      expect.stringMatching(
        /^echo '.* intel_iommu=on"' \| sudo tee \/etc\/default\/grub\.d\/ixy-ts-intel_iommu\.cfg$/,
      ),
      'sudo update-grub',
    ])
    expect(bootWith('isolcpus=3', (program) => program === 'grubby')).toEqual([
      'sudo grubby --update-kernel=ALL --args=isolcpus=3',
    ])
  })

  test('in a group, without vfio-pci: the command loads it, and then VFIO is the way', () => {
    add({ iommuGroup: '9' })
    const { access, findings } = examine()
    expect([access, found(findings, 'iommu')?.status]).toEqual(['sysfs', 'warn'])
    mend(findings, 'iommu')
    expect([examine().access, status('vfio-pci'), status('iommu')]).toEqual(['vfio', 'ok', 'ok'])
  })

  test('whose IOMMU blocks physical addresses: VFIO is the only way, and the command loads it', () => {
    add({ iommuGroup: '9', iommuType: 'DMA' })
    const { access, findings } = examine()
    expect([access, found(findings, 'vfio-pci')?.error?.code]).toEqual(['vfio', 'IXY_ERR_NO_VFIO'])
    mend(findings, 'vfio-pci')
    expect(status('vfio-pci')).toBe('ok')
    expect(found(examine({ access: 'sysfs' }).findings, 'iommu')?.error?.code).toBe('IXY_ERR_NO_VFIO')
  })

  test('with too few huge pages: as many as it takes, besides those that others have', () => {
    add()
    reserve(16, 4)
    expect(found(examine().findings, 'huge-pages')).toMatchObject({
      status: 'fail',
      text: expect.stringContaining('5 huge pages of 2048 KiB are needed, 4 are free') as string,
      commands: [expect.stringMatching(/^sudo \/.*\/setup-hugetlbfs\.sh 17$/) as string],
    })
    // Of four devices, and of four queues, it takes more.
    reserve(16, 16)
    expect(status('huge-pages')).toBe('ok')
    expect(status('huge-pages', { queues: 4 })).toBe('fail')
    machine = { ...machine, rights: { ...machine.rights, hugepageMounts: [] } }
    expect(found(examine().findings, 'huge-pages')?.text).toMatch(/16 huge pages .* no hugetlbfs is mounted/)
  })

  test('for a user who may lock too little, or must not see addresses', () => {
    add({ driver: 'vfio-pci', iommuGroup: '9' })
    loadVfio()
    write(join(root, 'vfio/9'), '')
    without('ipc_lock')
    expect(found(examine().findings, 'memlock')).toMatchObject({
      error: { code: 'IXY_ERR_MEMLOCK' },
      commands: ['sudo prlimit --pid $$ --memlock=unlimited'],
    })
    rmSync(join(root, 'devices'), { recursive: true })
    rmSync(join(root, 'bus'), { recursive: true })
    add()
    without('sys_admin')
    expect(found(examine().findings, 'addresses')?.error?.code).toBe('IXY_ERR_PERMISSION')
  })

  test('under a kernel that is locked down: not by sysfs', () => {
    add()
    write(join(root, 'kernel/security/lockdown'), 'none [integrity] confidentiality\n')
    expect(found(examine().findings, 'rights')?.text).toMatch(/Secure Boot/)
    write(join(root, 'kernel/security/lockdown'), '[none] integrity confidentiality\n')
    expect(status('rights')).toBe('ok')
  })

  test('whose link is down, or that is far from the CPUs', () => {
    add({ numaNode: 1, interfaces: [{ name: 'ixyfake0', carrier: 0 }] })
    write(join(root, 'devices/system/node/node0/cpulist'), '0-3\n')
    write(join(root, 'devices/system/node/node1/cpulist'), '4-6,8\n')
    expect(found(examine().findings, 'link')?.status).toBe('warn')
    expect(found(examine().findings, 'numa')).toMatchObject({
      status: 'warn',
      commands: ['sudo taskset -cp 4-6,8 $$'],
    })
    machine = { ...machine, cpus: [3, 5, 6] }
    expect(found(examine().findings, 'numa')).toMatchObject({ status: 'ok', text: 'node 1: --cpus of 5-6' })
    expect(formatCpus([])).toBe('')
  })
})

describe('doctor and a run agree', () => {
  test.each<[string, Partial<FakeFunction>, boolean, 'vfio' | 'sysfs']>([
    ['no IOMMU', {}, true, 'vfio'],
    ['no IOMMU, and in use', { driver: 'ixgbe', interfaces: [{ name: 'ixyfake0', flags: 3 }] }, true, 'vfio'],
    ['no vfio-pci', { iommuGroup: '1' }, false, 'vfio'],
    [
      'no vfio-pci, and in use',
      { iommuGroup: '1', driver: 'ixgbe', interfaces: [{ name: 'ixyfake0', flags: 3 }] },
      false,
      'vfio',
    ],
    ['a group that is not there', { driver: 'vfio-pci', iommuGroup: '1' }, true, 'vfio'],
    ['no network card', { classCode: 0x010802 }, true, 'vfio'],
    ['no network card', { classCode: 0x010802 }, true, 'sysfs'],
    ['bound to vfio-pci', { driver: 'vfio-pci', iommuGroup: '1' }, true, 'sysfs'],
    ['an IOMMU that blocks', { iommuGroup: '1', iommuType: 'DMA' }, true, 'sysfs'],
    ['in use', { driver: 'ixgbe', interfaces: [{ name: 'ixyfake0', flags: 3 }] }, true, 'sysfs'],
    [
      'in use behind an IOMMU that blocks',
      { iommuGroup: '1', iommuType: 'DMA', interfaces: [{ name: 'ixyfake0', flags: 3 }] },
      true,
      'sysfs',
    ],
  ])('on %s: %j (VFIO loaded: %s) by %s', (_name, fn, loaded, access) => {
    if (loaded) loadVfio()
    add(fn)
    reserve(64, 64)
    const open = access === 'vfio' ? openVfio : openSysfs
    // First: opening changes the driver of some.
    const said = obstacleOf(examine({ access }).findings)?.exitCode
    let happened: number | undefined
    try {
      open(CARD, { ...machine.roots, known: DRIVERS, force: false }).close()
    } catch (error) {
      happened = asIxyError(error).exitCode
    }
    expect(said).toBe(happened)
  })
})

describe('tuning', () => {
  const cpu = (name: string, text: string) => write(join(root, 'devices/system/cpu', name), `${text}\n`)
  const tuning = () => examineTuning(machine, 1)

  test('on a machine that tells nothing is left alone', () => {
    expect(tuning().map(({ check, status }) => [check, status])).toEqual([
      ['cpus', 'ok'],
      ['isolcpus', 'warn'],
      ['governor', 'ok'],
      ['c-states', 'ok'],
    ])
  })

  test('a governor that follows the load, and deep C-states: the commands mend both', () => {
    for (const number of machine.cpus) {
      cpu(`cpu${number}/cpufreq/scaling_governor`, number === 3 ? 'performance' : 'powersave')
      for (const [state, name, latency] of [
        ['state0', 'POLL', 0],
        ['state1', 'C1', 2],
        ['state3', 'C6', 133],
      ] as const) {
        cpu(`cpu${number}/cpuidle/${state}/name`, name)
        cpu(`cpu${number}/cpuidle/${state}/latency`, String(latency))
        cpu(`cpu${number}/cpuidle/${state}/disable`, '0')
      }
    }
    expect(found(tuning(), 'governor')?.text).toMatch(/^powersave on CPU 0-2:/)
    mend(tuning(), 'governor')
    expect(found(tuning(), 'governor')?.status).toBe('ok')
    expect(found(tuning(), 'c-states')?.text).toMatch(/C6 \(133 µs\)/)
    mend(tuning(), 'c-states')
    expect(found(tuning(), 'c-states')?.status).toBe('ok')
    const read = (state: string) =>
      readFileSync(join(root, `devices/system/cpu/cpu2/cpuidle/${state}/disable`), 'utf8').trim()
    expect([read('state1'), read('state3')]).toEqual(['0', '1'])
  })

  test('isolated CPUs, and too few of them', () => {
    cpu('isolated', '2-3')
    expect(found(tuning(), 'isolcpus')).toMatchObject({ status: 'ok', text: '--cpus of 2-3' })
    machine = { ...machine, cpus: [1] }
    expect(found(tuning(), 'cpus')?.status).toBe('warn')
  })
})

describe('a device that is no card', () => {
  const other = (text: string) => {
    const device = parseDevice(text)
    if (device.kind === 'pci') throw new Error('a card')
    return examineOther(device, machine)
  }
  const codeOf = (text: string) => obstacleOf(other(text).findings)?.code ?? null

  test('a socket is there, or it is not', () => {
    expect(codeOf(`vfio-user:${root}/nic.sock`)).toBe('IXY_ERR_DEVICE_NOT_FOUND')
    expect(codeOf(`vhost-user:${root}/huge`)).toBe('IXY_ERR_DEVICE_NOT_FOUND')
  })

  test('captures can be read, and written', () => {
    expect(codeOf(`virtual:record=${root}/out.pcap`)).toBeNull()
    expect(codeOf(`virtual:record=${root}/nowhere/out.pcap`)).toBe('IXY_ERR_FILE')
    expect(codeOf(`virtual:record=${root}/huge`)).toBe('IXY_ERR_FILE')
    expect(codeOf(`virtual:replay=${root}/in.pcap`)).toBe('IXY_ERR_FILE')
    expect(codeOf('virtual:gen')).toBeNull()
  })

  test('an interface of another kind is no TAP', () => {
    let refused = 'IXY_ERR_USAGE'
    try {
      accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
    } catch {
      // Whoever may not make a TAP learns that first.
      refused = 'IXY_ERR_PERMISSION'
    }
    expect(codeOf('tap:lo')).toBe(refused)
    expect(codeOf('virtual:tap=lo')).toBe(refused)
  })
})

test('as JSON', () => {
  add()
  const diagnosis = examine()
  const lines = [
    ...diagnosis.findings.map((finding) => findingObject(CARD, finding)),
    verdictObject(diagnosis),
  ]
  requireEvents(lines.map((line) => `${line}\n`).join(''))
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
    access: 'sysfs',
    usable: false,
    error: { code: 'IXY_ERR_NO_HUGEPAGES' },
  })
})
