/** `ixy-ts completion <shell>`, typed at bash and zsh on a terminal; fish tells what it would offer. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { LAUNCHER, describeIf, missing, sh, temporaryDirectory, testIf } from './support.ts'

const directory = temporaryDirectory()
const env = {
  PATH: `${directory}/bin:${path.dirname(process.execPath)}:${process.env['PATH']}`,
  HOME: directory,
  TERM: 'dumb',
  LC_ALL: 'C.UTF-8',
}

beforeAll(() => {
  mkdirSync(path.join(directory, 'bin'))
  symlinkSync(LAUNCHER, path.join(directory, 'bin/ixy-ts'))
  mkdirSync(path.join(directory, 'traces'))
  writeFileSync(path.join(directory, 'traces/a b.pcap'), '')
  writeFileSync(path.join(directory, 'traces/other.pcap'), '')
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(
      path.join(directory, `ixy-ts.${shell}`),
      sh(process.execPath, LAUNCHER, 'completion', shell),
    )
})

/** What is typed, and the words that the command then has. */
const LINES: readonly (readonly [typed: string, words: readonly string[]])[] = [
  [
    'fo\tvirtual:g\t,ra\tm\t virtual:rec\ttr\to\t',
    ['forward', 'virtual:gen,rate=max', 'virtual:record=traces/other.pcap'],
  ],
  ['fo\t--mo\tin\t--backend=w\t', ['forward', '--mode', 'interrupt', '--backend=wasm']],
  [
    'cap\tvirtual:replay=traces/a\t -w tr\to\t',
    ['capture', 'virtual:replay=traces/a b.pcap', '-w', 'traces/other.pcap'],
  ],
]

/** Types each of them behind the name of a program that shows its arguments. */
function typeAt(shell: string, ...args: string[]): string[] {
  const script = path.join(directory, `ixy-ts.${path.basename(shell)}`)
  const start = shell === 'zsh' ? 'autoload -Uz compinit; compinit -u -D; bindkey -e; ' : ''
  // The line is begun with ixy-ts, and then made one that shows what its words are.
  const lines = LINES.map(([typed]) => `ixy-ts ${typed}\x01printf '<%s>' \n`)
  const { stdout } = spawnSync('script', ['-qec', [shell, ...args].join(' '), '/dev/null'], {
    ...{ cwd: directory, env, encoding: 'utf8', timeout: 60_000 },
    input: [`${start}. ${script}\n`, ...lines, 'exit\n'].join(''),
  })
  return [...stdout.matchAll(/^(?:.*\r)?(<ixy-ts>(?:<[^<>]*>)+)/gm)].map(([, shown]) => shown)
}

const expected = LINES.map(([, words]) => ['ixy-ts', ...words].map((word) => `<${word}>`).join(''))

describeIf(missing({ programs: ['script'] }), 'completion on a terminal', () => {
  testIf(missing({ programs: ['bash'] }), 'bash', () => {
    expect(typeAt('bash', '--norc', '--noprofile', '-i')).toEqual(expected)
  })

  testIf(missing({ programs: ['zsh'] }), 'zsh', () => {
    expect(typeAt('zsh', '-f', '-i')).toEqual(expected)
  })
})

describeIf(missing({ programs: ['fish'] }), 'completion in fish', () => {
  test.each([
    ['ixy-ts forw', ['forward\tSend every packet from device a out of device b, and from b out of a']],
    ['ixy-ts forward --mode ', ['adaptive', 'interrupt', 'poll']],
    ['ixy-ts forward --mode=in', ['--mode=interrupt']],
    ['ixy-ts vnic nic.sock --wire gen,rate=', ['gen,rate=max']],
    ['ixy-ts capture virtual:gen -w traces/o', ['traces/other.pcap']],
    ['ixy-ts capture virtual:gen --write=traces/o', ['--write=traces/other.pcap']],
    ['ixy-ts extcap --install ./tr', ['./traces/']],
  ])('%s', (line, candidates) => {
    const script = path.join(directory, 'ixy-ts.fish')
    const { stdout } = spawnSync('fish', ['--no-config', '-c', `source ${script}; complete -C '${line}'`], {
      ...{ cwd: directory, env, encoding: 'utf8', timeout: 60_000 },
    })
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((one) => one.trimEnd()),
    ).toEqual(candidates)
  })
})
