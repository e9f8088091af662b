/** What is offered at the cursor, from the definitions of the commands. The shells themselves: test/e2e/shells.test.ts. */
import { complete } from '../../src/cli/completion/complete.ts'
import type { Surroundings } from '../../src/cli/completion/devices.ts'
import { createProgram } from '../../src/cli/program.ts'

const around: Surroundings = {
  cards: () => [
    { word: '0000:03:00.0', about: 'Intel 82599ES' },
    { word: '0000:03:00.1', about: 'Intel 82599ES: in use' },
  ],
  taps: () => ['tapA', 'tapB'],
  files: (folder) =>
    ({ '.': ['in.pcap', 'in,2.pcap', 'traces/', '.hidden'], 'traces/': ['a.pcapng'] })[folder] ?? [],
}
const program = createProgram(() => undefined)
const GEN_OPTIONS = ['rate=', 'size=', 'imix', 'flows=', 'count=']
const KINDS = ['gen', 'sink', 'loop', 'tap=', 'replay=', 'record=', 'fault=']

const at = (...words: string[]) => complete(program, words, around)
const words = (...line: string[]) => at(...line).candidates.map(({ word }) => word)

test('commands, and the options of the program, with what --help says of them', () => {
  const listed = program.createHelp().visibleCommands(program)
  expect(words('')).toEqual([
    ...listed.map((command) => command.name()),
    ...['--version', '--help', '--dump-registers'],
  ])
  expect(at('for').candidates).toEqual([
    { word: 'forward', about: 'Send every packet from device a out of device b, and from b out of a' },
  ])
  expect(words('help', 'cap')).toEqual(['capture'])
  expect(words('nothing', '')).toEqual([])
})

test('every option of every command that --help lists', () => {
  for (const command of program.createHelp().visibleCommands(program)) {
    if (command.name() === 'help') continue
    const shown = command.createHelp().visibleOptions(command)
    expect(words(command.name(), '-')).toEqual(shown.map(({ long }) => long))
  }
})

test.each([
  [
    ['forward', 'virtual:gen', 'virtual:gen', '--mode', ''],
    ['poll', 'interrupt', 'adaptive'],
  ],
  [['forward', '--mode=i'], ['--mode=interrupt']],
  [
    ['generate', '--backend', ''],
    ['wasm', 'ts'],
  ],
  [['tunnel', '--encap', 'g'], ['geneve']],
  [
    ['pktgen', '--proto', ''],
    ['udp', 'tcp', 'icmp'],
  ],
  [
    ['pktgen', '--expect-latency', 'p99'],
    ['p99=', 'p99.9=', 'p99.99='],
  ],
  [
    ['capture', 'virtual:gen', '-a', 'fi'],
    ['filesize:', 'files:'],
  ],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  // A value that nobody knows.
  [['forward', '--batch-size', ''], []],
])('values of options: %j', (line, expected) => {
  expect(words(...line)).toEqual(expected)
})

test.each([
  [['capture', 'virtual:gen', '-w', ''], 'files'],
  [['capture', 'virtual:gen', '--write=o'], 'files'],
  [['pktgen', 'virtual:sink', '--pcap', 'a'], 'files'],
  [['run', ''], 'files'],
  [['vnic', ''], 'files'],
  [['extcap', '--install', ''], 'folders'],
  [['run', './app.ts', 'virtual:gen', '--', ''], 'files'],
])('left to the shell: %j', (line, kind) => {
  expect(at(...line)).toEqual({ kind, candidates: [] })
})

test.each([
  [
    ['forward', '0'],
    ['0000:03:00.0', '0000:03:00.1'],
  ],
  [
    ['forward', '03:'],
    ['03:00.0', '03:00.1'],
  ],
  [
    ['forward', '--touch', '-q', '2', 'virtual:gen', 'v'],
    ['virtual:', 'vfio-user:', 'vhost-user:'],
  ],
  [
    ['tunnel', 'tap:'],
    ['tap:tapA', 'tap:tapB'],
  ],
  [['--dump-registers', 'vi'], ['virtual:']],
  [['stats', '0000:03:00.0', 'ta'], ['tap:']],
  [
    ['devices', ''],
    ['--json', '--no-color', '--log-level', '--help'],
  ],
  [
    ['forward', 'vfio-user:in'],
    ['vfio-user:in.pcap', 'vfio-user:in\\,2.pcap'],
  ],
])('devices: %j', (line, expected) => {
  expect(words(...line)).toEqual(expected)
})

test.each([
  ['g', ['gen']],
  ['loop,s', ['loop,sink']],
  ['gen,', GEN_OPTIONS.concat(KINDS).map((part) => `gen,${part}`)],
  ['gen,rate=', ['gen,rate=max']],
  ['gen,record=traces/', ['gen,record=traces/a.pcapng']],
  ['replay=in', ['replay=in.pcap', 'replay=in\\,2.pcap']],
  ['replay=in\\,2.pcap,str', ['replay=in\\,2.pcap,strict']],
  ['tap=', ['tap=tapA', 'tap=tapB']],
  ['sink,fault=drop=0.01+se', ['sink,fault=drop=0.01+seed=']],
])('wires: %s', (wire, expected) => {
  expect(at('vnic', 'nic.sock', '--wire', wire).kind).toBe('parts')
  expect(words('vnic', 'nic.sock', '--wire', wire)).toEqual(expected)
  expect(words('forward', `virtual:${wire}`)).toEqual(expected.map((word) => `virtual:${word}`))
})
