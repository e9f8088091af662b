/** What may stand at the cursor of a command line: from the definitions of the commands, whatever shell asks. */
import type { Argument, Command, Option } from 'commander'
import { type Candidate, type Surroundings, deviceCandidates, wireCandidates } from './devices.ts'

export interface Completion {
  /** `parts`: words that may go on, with no blank behind them. `files`, `folders`: as the shell itself completes them. */
  readonly kind: 'words' | 'parts' | 'files' | 'folders'
  readonly candidates: readonly Candidate[]
}

const NOTHING: Completion = { kind: 'words', candidates: [] }

/** `words`: those behind the program's name up to the cursor, the last of which is being written ('' if it isn't begun). */
export function complete(program: Command, words: readonly string[], around: Surroundings): Completion {
  const current = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const at = before.findIndex((word) => !word.startsWith('-') || word === '--dump-registers')
  if (at < 0) return matching(current, [...commandsOf(program), ...optionsOf(program)])
  const name = before[at].replace(/^--/, '')
  if (name === 'help') return matching(current, at === before.length - 1 ? commandsOf(program) : [])
  const command = program.commands.find((one) => one.name() === name || one.aliases().includes(name))
  if (command === undefined) return NOTHING
  return completeIn(command, before.slice(at + 1), current, around)
}

function completeIn(
  command: Command,
  before: readonly string[],
  current: string,
  around: Surroundings,
): Completion {
  let operands = 0
  let open: Option | undefined
  let onlyOperands = false
  for (const word of before) {
    if (open !== undefined && (open.required || !word.startsWith('-'))) {
      open = undefined
    } else if (onlyOperands || !/^-./.test(word)) {
      open = undefined
      operands++
    } else if (word === '--') {
      onlyOperands = true
      open = undefined
    } else {
      const option = command.options.find(({ short, long }) => word === short || word === long)
      open = option?.required === true || option?.optional === true ? option : undefined
    }
  }
  // What follows -- belongs to an app, and nobody knows what it takes.
  if (onlyOperands) return { kind: 'files', candidates: [] }
  if (open?.required === true) return completeValue(placeholderOf(open), open.argChoices, current, around)
  const [, long, value] = /^(--[^=]+)=(.*)$/s.exec(current) ?? []
  const assigned = command.options.find((one) => one.long === long)
  if (assigned !== undefined) {
    const { kind, candidates } = completeValue(placeholderOf(assigned), assigned.argChoices, value, around)
    return { kind, candidates: candidates.map(({ word, about }) => ({ word: `${long}=${word}`, about })) }
  }
  if (current.startsWith('-')) return matching(current, optionsOf(command))
  if (open !== undefined) return completeValue(placeholderOf(open), open.argChoices, current, around)
  const argument = argumentAt(command.registeredArguments, operands)
  if (argument === undefined) return matching(current, optionsOf(command))
  return completeValue(argument.name(), argument.argChoices, current, around)
}

/** The last one may take any number of words. */
function argumentAt(all: readonly Argument[], index: number): Argument | undefined {
  return all[index] ?? (all.at(-1)?.variadic === true ? all.at(-1) : undefined)
}

/** `--write <file>`: file. */
function placeholderOf(option: Option): string {
  return /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? ''
}

/** What the placeholders of options and arguments stand for. */
const FILES = ['app-file', 'capture', 'file', 'ndjson', 'file.html', 'socket', 'socket-b']
const FOLDERS = ['folder', 'directory']
const DEVICES = ['device', 'device-a', 'device-b', 'outer', 'inner']

function completeValue(
  placeholder: string,
  choices: readonly string[] | undefined,
  current: string,
  around: Surroundings,
): Completion {
  const name = placeholder.replace(/\.\.\.$/, '')
  if (choices !== undefined) {
    return matching(
      current,
      choices.map((word) => ({ word, about: '' })),
    )
  }
  if (FILES.includes(name)) return { kind: 'files', candidates: [] }
  if (FOLDERS.includes(name)) return { kind: 'folders', candidates: [] }
  if (name === 'wire') return { ...matching(current, wireCandidates(current, around)), kind: 'parts' }
  if (DEVICES.includes(name)) {
    const kind = /^[\w-]+:/.test(current) ? 'parts' : 'words'
    return { ...matching(current, deviceCandidates(current, around)), kind }
  }
  return NOTHING
}

function matching(current: string, all: readonly Candidate[]): Completion {
  return { kind: 'words', candidates: all.filter(({ word }) => word.startsWith(current)) }
}

function commandsOf(program: Command): Candidate[] {
  const help = program.createHelp()
  return help.visibleCommands(program).map((command) => ({
    word: command.name(),
    about: help.subcommandDescription(command),
  }))
}

/** By their long names, and the short ones of those that have no other. */
function optionsOf(command: Command): Candidate[] {
  const help = command.createHelp()
  const own = help.visibleOptions(command).map((option) => ({
    word: option.long ?? option.short ?? '',
    about: help.optionDescription(option),
  }))
  const dump = command.commands.find((one) => one.name() === 'dump-registers')
  return dump === undefined ? own : [...own, { word: '--dump-registers', about: dump.description() }]
}
