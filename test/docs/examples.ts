/** Finds the examples in the help texts and the documentation, which examples.test.ts runs. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { REFLECT } from '../e2e/apps.ts'
import { LAUNCHER, sh } from '../e2e/support.ts'
import { ROOT } from '../e2e/unpacked.ts'

export interface Example {
  /** As printed, without the comment behind it. */
  readonly command: string
  /** A second command that belongs to it: the client of a server. */
  readonly then?: string
  /** Where it is printed, the first of several places. */
  readonly source: string
}

/** A command with something to fill in is a form, not an example. */
const PLACEHOLDER = /<[a-z][^>]*>|…|\.\.\.|\[/

const COMMAND = /^(?:sudo )?(?:\.\/bin\/)?ixy-ts /

/** Takes a printed line apart: command, two or more blanks or a #, comment. */
function parse(line: string, source: string): Example | undefined {
  const text = line.trim()
  const comment = /\s+#\s|\s{2,}/.exec(text)
  const command = (comment === null ? text : text.slice(0, comment.index)).replace(/ &$/, '')
  if (!COMMAND.test(command) || PLACEHOLDER.test(command)) return undefined
  const then = comment === null ? undefined : /then: (.*)$/.exec(text.slice(comment.index))?.[1]
  return then === undefined ? { command, source } : { command, then, source }
}

const helps = new Map<string, string>()

/** What --help says, asked once. */
export function help(...words: string[]): string {
  const known = helps.get(words.join(' ')) ?? sh(process.execPath, LAUNCHER, ...words, '--help')
  helps.set(words.join(' '), known)
  return known
}

/** The commands that --help lists. */
export function commands(): string[] {
  const [, list] = /\nCommands:\n((?: {2}.*\n)+)/.exec(help()) ?? ['', '']
  const names = [...list.matchAll(/^ {2}(\w[\w-]*)/gm)].map(([, name]) => name)
  return names.filter((name) => name !== 'help')
}

function fromHelp(...words: string[]): Example[] {
  const [, examples] = help(...words).split('\nExamples:\n')
  const source = ['ixy-ts', ...words, '--help'].join(' ')
  return (examples ?? '').split('\n').flatMap((line) => parse(line, source) ?? [])
}

/** Lines of code blocks, whole scripts, and commands with two words or more within a paragraph. */
function fromMarkdown(file: string): Example[] {
  const text = readFileSync(path.join(ROOT, file), 'utf8')
  const found: Example[] = []
  const prose = text.replace(/^ *```(\w*)\n([\s\S]*?)^ *```$/gm, (_, language: string, block: string) => {
    if (block.startsWith('#!/bin/sh')) found.push({ command: block, source: file })
    else if (language === '' || language === 'sh') {
      // A line that ends with a backslash goes on.
      const lines = block.replaceAll(/\\\n\s*/g, '').split('\n')
      found.push(...lines.flatMap((line) => parse(line, file) ?? []))
    }
    return ''
  })
  for (const [, code] of prose.matchAll(/`([^`\n]+)`/g)) {
    if (code.replace(/^sudo /, '').split(' ').length > 2) found.push(...[parse(code, file) ?? []].flat())
  }
  return found
}

/** README.md and what is in docs/. */
function documents(): string[] {
  const names = readdirSync(path.join(ROOT, 'docs')).filter(
    // Whose scripts recipes.test.ts runs.
    (name) => name.endsWith('.md') && name !== 'recipes.md',
  )
  return ['README.md', ...names.map((name) => `docs/${name}`)]
}

/** The app of which a document speaks: one of docs/examples, a block of code whose first line is its name, else any. */
export function appCalled(name: string): string {
  const file = path.join(ROOT, 'docs/examples', name)
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const start = `\n\`\`\`ts\n// ${name}\n`
  const texts = documents().map((document) => readFileSync(path.join(ROOT, document), 'utf8'))
  const block = texts
    .find((text) => text.includes(start))
    ?.split(start)[1]
    .split('\n```\n')[0]
  return block ?? REFLECT
}

/** Every example once. */
export function findExamples(): Example[] {
  const all = [
    ...fromHelp(),
    ...commands().flatMap((command) => fromHelp(command)),
    ...documents().flatMap(fromMarkdown),
  ]
  const key = ({ command, then = '' }: Example) => `${command.replaceAll('./bin/', '')}\n${then}`
  return [...new Map(all.reverse().map((example) => [key(example), example])).values()].reverse()
}
