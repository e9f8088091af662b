/** `ixy-ts completion`: scripts for shells, and `ixy-ts complete`, which they ask at every Tab. */
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { type Command } from 'commander'
import { DRIVERS } from '../../driver/registry.ts'
import { tapNames } from '../../linux/tap.ts'
import { usageError } from '../../option-values.ts'
import { listNics } from '../../pci/nics.ts'
import { complete } from '../completion/complete.ts'
import type { Surroundings } from '../completion/devices.ts'
import { SCRIPTS } from '../completion/scripts.ts'
import type { Finish } from '../finish.ts'
import { stdout } from '../output/outlet.ts'

const SHELLS = Object.keys(SCRIPTS)

const HELP = `
Completes commands, options and their values, devices of this machine, wires and files. For one user:
  bash: ixy-ts completion bash > ~/.local/share/bash-completion/completions/ixy-ts
  zsh: ixy-ts completion zsh > ~/.zsh/_ixy-ts, with fpath=(~/.zsh $fpath) before compinit in ~/.zshrc
  fish: ixy-ts completion fish > ~/.config/fish/completions/ixy-ts.fish

Examples:
  ixy-ts completion bash > ixy-ts.bash          to try it: . ./ixy-ts.bash
  ixy-ts completion fish > ixy-ts.fish`

export function addCompletion(program: Command, finish: Finish): void {
  const command = program
    .command('completion')
    .description('Print a script that makes a shell complete command lines of ixy-ts')
  command
    .addArgument(command.createArgument('<shell>', SHELLS.join(', ')).argParser(shell))
    .addHelpText('after', HELP)
    .action((name: string) => {
      stdout.write(SCRIPTS[name])
      finish(0)
    })
  command.registeredArguments[0].argChoices = SHELLS
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action((words: string[]) => {
      const { kind, candidates } = complete(program, words, AROUND)
      const lines = candidates.map(({ word, about }) => `${word}\t${about}`)
      stdout.write([kind, ...lines].map((line) => `${line}\n`).join(''))
      finish(0)
    })
}

function shell(text: string): string {
  if (SHELLS.includes(text)) return text
  throw usageError(`there is no completion for '${text}'`, `give one of ${SHELLS.join(', ')}`)
}

const AROUND: Surroundings = {
  cards: () =>
    listNics(DRIVERS).map(({ address, model, obstacle }) => ({
      word: address,
      about: obstacle === null ? model : `${model}: ${obstacle.message}`,
    })),
  taps: tapNames,
  files: (folder) => {
    try {
      return readdirSync(folder).map((name) => (isFolder(path.join(folder, name)) ? `${name}/` : name))
    } catch {
      return []
    }
  },
}

function isFolder(name: string): boolean {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() === true
}
