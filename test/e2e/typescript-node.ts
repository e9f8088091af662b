/** A Node.js that runs TypeScript as it is. */
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { ORDINARY_USER, ROOT } from './unpacked.ts'

export const STRIPS_TYPES = 'typescript' in process.features && process.features.typescript !== false

/** Beside an older one, .ci/run puts a newer one. */
const NEWER = path.join(ROOT, `.cache/newer-node/node_modules/node-linux-${process.arch}/bin/node`)

/** This one or that beside it; null if there is none that an ordinary user can run. */
export function typescriptNode(): string | null {
  if (STRIPS_TYPES) return process.execPath
  return spawnSync(NEWER, ['--version'], { ...ORDINARY_USER, cwd: '/' }).status === 0 ? NEWER : null
}

export const NO_TYPESCRIPT = 'this Node.js runs no TypeScript'
