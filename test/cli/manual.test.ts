/** The manual pages: complete, and without anything that groff warns of. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { blocksOf } from '../../src/cli/manual/help-text.ts'
import { manualPages } from '../../src/cli/manual/page.ts'
import { escaped, term } from '../../src/cli/manual/roff.ts'
import { createProgram } from '../../src/cli/program.ts'
import { describeIf, missing } from '../skip.ts'

const program = createProgram(() => undefined)
const pages = manualPages(program, '1.2.3', '2026-01-02')
const commands = program.commands.filter((command) =>
  program.createHelp().visibleCommands(program).includes(command),
)

test('one for each command, which package.json names for npm', () => {
  const files = ['ixy-ts.1', ...commands.map((command) => `ixy-ts-${command.name()}.1`)]
  expect(pages.map(({ file }) => file)).toEqual(files)
  const { man } = JSON.parse(readFileSync('package.json', 'utf8')) as { man: string[] }
  expect([...man].sort()).toEqual(files.map((file) => `dist/man/${file}`).sort())
})

test.each([
  ['a\\b', 'a\\eb'],
  ['.TH', '\\&.TH'],
  ["'tcp port 80'", '\\(aqtcp port 80\\(aq'],
  ['--rate 10%', '\\-\\-rate 10%'],
  ['"ixy" ~ ^ `', '\\(dqixy\\(dq \\(ti \\(ha \\(ga'],
  ['kernel’s', 'kernel\\[u2019]s'],
])('escapes %s', (text, roff) => {
  expect(escaped(text)).toBe(roff)
})

test('options are bold, their values in italics', () => {
  expect(term('-w, --write <file>')).toBe('\\fB\\-w, \\-\\-write \\fR\\fIfile\\fR')
  expect(term('--install [folder]')).toBe('\\fB\\-\\-install \\fR[\\fIfolder\\fR]')
})

test('the text behind a help falls into paragraphs, lists and sections', () => {
  const text = `
One line
and another.

A list of
  a, b       first,
             continued
  c          second

Examples:
  ixy-ts one                  with a comment
  ixy-ts two`
  expect(blocksOf(text)).toEqual([
    { kind: 'paragraph', text: 'One line and another.' },
    { kind: 'paragraph', text: 'A list of' },
    {
      kind: 'list',
      items: [
        ['a, b', 'first, continued'],
        ['c', 'second'],
      ],
    },
    { kind: 'title', text: 'Examples' },
    { kind: 'examples', lines: ['# with a comment', 'ixy-ts one', 'ixy-ts two'] },
  ])
})

describeIf(missing({ programs: ['groff'] }), 'as a reader sees them', () => {
  const { stdout, stderr } = spawnSync(
    'groff',
    ['-man', '-Tascii', '-ww', '-P-cbou', '-rLL=4000n', '-rHY=0'],
    { encoding: 'utf8', input: pages.map(({ text }) => text).join('') },
  )

  test('groff warns of nothing', () => {
    expect(stderr).toBe('')
  })

  test('every option of every command is there, with its description', () => {
    const plain = stdout.replaceAll(/\s+/g, ' ')
    for (const command of commands) {
      const help = command.createHelp()
      for (const option of help.visibleOptions(command)) {
        const flags = option.flags.replaceAll(/<([^<>]+)>/g, '$1')
        expect(plain).toContain(`${flags} ${help.optionDescription(option)}`.replaceAll(/\s+/g, ' '))
      }
      for (const argument of command.registeredArguments) expect(plain).toContain(argument.description)
    }
  })

  test('every example is on a line of its own', () => {
    const lines = stdout.split('\n').map((line) => line.trim())
    expect(lines).toContain('ixy-ts forward virtual:gen virtual:gen -d 10 --json --expect-loss 0')
    expect(lines).toContain("sudo ixy-ts forward 03:00.0 03:00.1 --filter 'not (udp port 1900 or stp)'")
  })
})
