/** A manual page for each command, from its definition: what --help says, in roff. */
import { EventEmitter } from 'node:events'
import type { Command } from 'commander'
import { type Block, blocksOf } from './help-text.ts'
import { escaped, example, item, paragraph, section, term } from './roff.ts'

export interface Page {
  /** `ixy-ts-forward.1` */
  readonly file: string
  readonly text: string
}

/** Of the program, and of each command that --help lists. `date`: year, month and day. */
export function manualPages(program: Command, version: string, date: string): Page[] {
  const commands = commandsOf(program)
  return [program, ...commands].map((command) => pageOf(command, program, version, date))
}

/** Those that --help lists, without `help` itself. */
function commandsOf(program: Command): readonly Command[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => program.commands.includes(command))
}

/** man finds `ixy-ts forward` under this name as well. */
function nameOf(command: Command, program: Command): string {
  return command === program ? program.name() : `${program.name()}-${command.name()}`
}

function pageOf(command: Command, program: Command, version: string, date: string): Page {
  const help = command.createHelp()
  const name = nameOf(command, program)
  const others = [program, ...commandsOf(program)].filter((other) => other !== command)
  const args = help.visibleArguments(command)
  const [first, sections] = parts(blocksOf(textBehindHelp(command)))
  const lines = [
    `.TH ${name.toUpperCase().replaceAll('-', '\\-')} 1 ${date} "ixy\\-ts ${version}" "User Commands"`,
    section('Name'),
    `${escaped(name)} \\- ${escaped(help.commandDescription(command))}`,
    section('Synopsis'),
    term(help.commandUsage(command).replace(/\|(?=[\w-]+ )/, ' | ')),
    section('Description'),
    escaped(`${help.commandDescription(command)}.`),
    ...first,
    ...args.map((argument) =>
      item(term(`<${help.argumentTerm(argument)}>`), help.argumentDescription(argument)),
    ),
    ...(command === program ? [section('Commands'), ...commandList(program)] : []),
    section('Options'),
    ...help
      .visibleOptions(command)
      .map((option) => item(term(help.optionTerm(option)), help.optionDescription(option))),
    ...sections,
    section('See also'),
    seeAlso(others.map((other) => nameOf(other, program))),
  ]
  return { file: `${name}.1`, text: `${lines.join('\n')}\n` }
}

function commandList(program: Command): string[] {
  const help = program.createHelp()
  return commandsOf(program).map((command) =>
    item(term(`${command.name()} ${command.usage()}`), help.subcommandDescription(command)),
  )
}

function seeAlso(names: readonly string[]): string {
  return names.map((name, i) => `.BR ${escaped(name)} (1)${i < names.length - 1 ? ' ,' : ''}`).join('\n')
}

/** What stands before the first title, and the sections that begin with one. */
function parts(blocks: readonly Block[]): [string[], string[]] {
  const titled = blocks.findIndex(({ kind }) => kind === 'title')
  const end = titled < 0 ? blocks.length : titled
  return [blocks.slice(0, end).map(roffOf), blocks.slice(end).map(roffOf)]
}

function roffOf(block: Block): string {
  switch (block.kind) {
    case 'title':
      return section(block.text)
    case 'paragraph':
      return paragraph(block.text)
    case 'examples':
      return example(block.lines)
    case 'list':
      return block.items.map(([head, text]) => item(`\\fB${escaped(head)}\\fR`, text)).join('\n')
  }
}

/** What addHelpText() has added behind the help, as it is written there. */
function textBehindHelp(command: Command): string {
  let text = ''
  const write = (part: string): void => void (text += part)
  // What outputHelp() does, behind the rest; commander's types don't say that a command is an emitter.
  const emitter: unknown = command
  if (emitter instanceof EventEmitter) emitter.emit('afterHelp', { error: false, command, write })
  return text
}
