/** docs/examples as a user has them: a copy in a folder of its own, outside of the repository. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import ts from 'typescript'
import { STRIPS_TYPES } from './typescript-node.ts'

/** Copies an example to `folder`. Where Node.js runs no TypeScript, what is copied is the same without its types. */
export function copyExample(name: string, folder: string): string {
  const source = path.join(__dirname, '../../docs/examples', `${name}.ts`)
  if (STRIPS_TYPES) {
    const file = path.join(folder, `${name}.ts`)
    copyFileSync(source, file)
    return file
  }
  const file = path.join(folder, `${name}.mjs`)
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
  writeFileSync(file, ts.transpileModule(readFileSync(source, 'utf8'), { compilerOptions }).outputText)
  return file
}
