/** Every script of docs/recipes.md runs, and so does every step of its CI jobs, and of this repository's own. */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { load } from 'js-yaml'
import { findQemu, noQemu } from '../qtest/machine.ts'
import { writeCapture } from '../e2e/captures.ts'
import { LAUNCHER, missing, temporaryDirectory, testIf } from '../e2e/support.ts'

const ROOT = path.join(__dirname, '../..')
const RECIPES = readFileSync(path.join(ROOT, 'docs/recipes.md'), 'utf8')
const DEADLINE = 60_000

/** As ixy-ts, but for a moment, and without asking for the rates of a machine that runs nothing else. */
const IXY_TS = `#!/bin/sh
previous=
for argument; do
  shift
  case $previous in
    -d) argument=0.3 ;;
    --expect-mpps) argument=0.000001 ;;
    --expect-latency) argument=\${argument%%=*}=60s ;;
  esac
  previous=$argument
  set -- "$@" "$argument"
done
exec "${process.execPath}" "${LAUNCHER}" "$@"
`

/** Programs of the test's own. */
const STAND_INS: Readonly<Record<string, string>> = {
  'ixy-ts': IXY_TS,
  sudo: '#!/bin/sh\nexec "$@"\n',
  'apt-get': '#!/bin/sh\n',
  make: '#!/bin/sh\n[ "$*" = "-C ixy-ts build" ]\n',
  git: '#!/bin/sh\n[ "$1 $2 $3 $4 $5" = "clone --depth 1 $IXY_TS ixy-ts" ] || exit 1\nmkdir -p ixy-ts/bin\ncp "$STAND_INS/ixy-ts" ixy-ts/bin/\n',
}

interface Block {
  readonly language: string
  readonly text: string
}

const blocks = [...RECIPES.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]): Block => ({
  language,
  text,
}))
const scripts = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text)

const directory = temporaryDirectory()
let folders = 0

interface Ended {
  readonly code: number | null
  readonly output: string
  readonly folder: string
}

/** Runs a script in a folder of its own; as root in namespaces of its own, so that nothing of it is seen by others. */
function run(script: string, shell: readonly string[]): Promise<Ended> {
  const folder = path.join(directory, String(folders++))
  const bin = path.join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  for (const [name, text] of Object.entries(STAND_INS))
    writeFileSync(path.join(bin, name), text, { mode: 0o755 })
  writeFileSync(
    path.join(folder, 'driver-test'),
    '#!/bin/sh\nexec ixy-ts forward vfio-user:$1 virtual:sink -d 0.3\n',
    { mode: 0o755 },
  )
  if (qemu !== null) {
    const words = qemu.command.map((word) => `'${word}'`).join(' ')
    const modules = qemu.environment['QEMU_MODULE_DIR'] ?? ''
    // Its own paths are relative.
    const text = `#!/bin/sh\ncd '${ROOT}'\nQEMU_MODULE_DIR='${modules}' exec ${words} "$@"\n`
    writeFileSync(path.join(bin, 'qemu-system-x86_64'), text, { mode: 0o755 })
  }
  writeCapture(
    path.join(folder, 'in.pcap'),
    Array.from({ length: 20 }, (_, i) => new Uint8Array(60 + i).fill(i + 1)),
  )
  const file = path.join(folder, 'script')
  writeFileSync(file, script)
  const own = 'mount -t tmpfs none /run && mount -t sysfs none /sys 2>/dev/null; ip link set lo up; exec "$@"'
  const command = script.includes('sudo ')
    ? ['unshare', '--mount', '--net', 'sh', '-c', own, 'sh', ...shell, file]
    : [...shell, file]
  const child = spawn(command[0], command.slice(1), {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: `${bin}:${process.env['PATH']}`,
      HOME: folder,
      STAND_INS: bin,
      IXY_TS: 'https://example.org/ixy-ts.git',
      NO_COLOR: '1',
      IXY_TS_RUNTIME_DIR: path.join(folder, 'run'),
      IXY_TS_REHEARSAL: '0',
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const deadline = setTimeout(() => endGroup(child.pid), DEADLINE - 5_000)
  return new Promise((resolve) =>
    child.on('close', (code) => {
      clearTimeout(deadline)
      endGroup(child.pid)
      resolve({ code, output, folder })
    }),
  )
}

/** Also what a script that failed has left in the background. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // There is nobody left.
  }
}

const qemu = findQemu()

function obstacle(script: string): string | null {
  if (script.includes('qemu-system') && noQemu !== null) return noQemu
  const programs = ['jq', 'tcpdump', 'iperf3'].filter((program) =>
    new RegExp(`\\b${program}\\b`).test(script),
  )
  const root = script.includes('sudo ')
  return missing({ root, tap: root, programs: root ? [...programs, 'ip', 'unshare'] : programs })
}

/** What a script is to have printed, by the heading above it. */
const SAYS: Readonly<Record<string, RegExp>> = {
  'Two hosts on one machine': /iperf Done[^]*forwarded [\d,]+ packets[^]*unaccounted 0/,
  'Did my forwarder change a packet?': /^forwarded 20 packets/m,
  'What did my change cost in latency?': /"returned": [1-9]\d+,[^]*"p99": \d/,
  'Fault drills for a protocol stack': /iperf Done[^]*"inDropped": \d+/,
  'Developing a driver for the 82599': /"received":0,[^]*|true/,
  'A QEMU that has vfio-user': /"vfio-user-pci"/,
}

describe('docs/recipes.md', () => {
  test('has a script below each heading that is to have one', () => {
    expect(scripts).toHaveLength(Object.keys(SAYS).length)
  })

  for (const [heading, says] of Object.entries(SAYS)) {
    const [, chapter = ''] = RECIPES.split(`\n## ${heading}\n`)
    const [, script = ''] = /^```sh\n([\s\S]*?)^```$/m.exec(chapter.split('\n## ')[0]) ?? []
    testIf(
      obstacle(script),
      heading,
      async () => {
        const { code, output } = await run(script, ['sh', '-e'])
        expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(says) as string })
      },
      DEADLINE,
    )
  }

  test('its commands for apt name what the guest tests take', () => {
    const [{ text }] = blocks.filter(({ language }) => language === '')
    const guest = readFileSync(path.join(ROOT, 'test/guest/harness/debian.ts'), 'utf8')
    const [, suite] = /const SUITE = '(\w+)'/.exec(guest) ?? []
    const [, packaged] = /const QEMU = \['([\w-]+)'\]/.exec(guest) ?? []
    expect(text).toContain(`sudo apt install -t ${suite}-backports ${packaged}\n`)
  })
})

interface Job {
  readonly 'runs-on'?: string
  readonly steps?: readonly { readonly uses?: string; readonly run?: string }[]
  readonly image?: string
  readonly script?: readonly string[]
}

/** The scripts of a CI file, one per job, as GitHub's and GitLab's runners put them together. */
function jobsOf(yaml: string): string[] {
  const file = load(yaml) as Record<string, unknown>
  const jobs = Object.values((file['jobs'] ?? file) as Record<string, Job>)
  return jobs.map(({ 'runs-on': machine, steps, image, script }) => {
    if (steps === undefined) {
      expect([typeof image, script?.every((line) => typeof line === 'string')]).toEqual(['string', true])
      return (script ?? []).join('\n')
    }
    expect([Object.keys(file), typeof machine]).toEqual([['name', 'on', 'jobs'], 'string'])
    for (const { uses, run } of steps)
      expect(run ?? uses).toMatch(run === undefined ? /^actions\/[\w-]+@v\d+$/ : /./)
    // Each step is a shell of its own.
    return steps.flatMap(({ run }) => (run === undefined ? [] : [`(\n${run}\n)`])).join('\n')
  })
}

describe('CI jobs', () => {
  const files = blocks.filter(({ language }) => language === 'yaml').map(({ text }) => text)

  for (const text of files)
    testIf(
      obstacle(text),
      text.split('\n')[0],
      async () => {
        const jobs = jobsOf(text)
        expect(jobs).toHaveLength(1)
        const { code, output } = await run(jobs[0], ['bash', '-e'])
        expect({ code, output }).toEqual({
          code: 0,
          output: expect.stringMatching(/ Mpps|true/) as string,
        })
      },
      DEADLINE,
    )

  test('a job fails if the tool does', async () => {
    const [job] = jobsOf(files[0].replace('virtual:gen virtual:gen', 'virtual:gen,fault=drop=1 virtual:gen'))
    const { code, output } = await run(job, ['bash', '-e'])
    expect([code, output]).toEqual([5, expect.stringMatching(/IXY_ERR_EXPECTATION/)])
  })

  test('this repository has one, which does what .ci/run does', () => {
    expect(jobsOf(readFileSync(path.join(ROOT, '.github/workflows/ci.yml'), 'utf8'))).toEqual([
      expect.stringContaining('.ci/run'),
    ])
  })
})
