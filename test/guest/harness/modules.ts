/** The guest's kernel modules: what each needs, read from the modules themselves, unpacked for a plain insmod. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DebianTree, programPath } from './debian.ts'

const normal = (name: string): string => name.replaceAll('-', '_')

function nameOf(path: string): string {
  return normal(path.slice(path.lastIndexOf('/') + 1).replace(/\.ko.*$/, ''))
}

export class KernelModules {
  readonly #tree: DebianTree
  readonly #unpacked: string
  readonly #paths = new Map<string, string>()
  readonly #builtin = new Set<string>()

  constructor(tree: DebianTree, cache: string) {
    this.#tree = tree
    this.#unpacked = join(cache, `modules-${tree.kernelRelease}`)
    mkdirSync(this.#unpacked, { recursive: true })
    const lines = (file: string): string[] =>
      readFileSync(join(tree.modules, file), 'utf8').split('\n').filter(Boolean)
    for (const path of lines('modules.order')) this.#paths.set(nameOf(path), path)
    for (const path of lines('modules.builtin')) this.#builtin.add(nameOf(path))
  }

  /** The modules to insert for `name`, in order, `name` last. Empty if it is built in. */
  loadOrder(name: string, order: string[] = []): string[] {
    const wanted = normal(name)
    if (this.#builtin.has(wanted) || order.includes(wanted)) return order
    const text = readFileSync(this.file(wanted), 'latin1')
    const depends = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? ''
    for (const needed of depends.split(',').filter(Boolean)) this.loadOrder(needed, order)
    order.push(wanted)
    return order
  }

  /** The unpacked .ko file of a module. */
  file(name: string): string {
    const target = join(this.#unpacked, `${name}.ko`)
    if (existsSync(target)) return target
    const path = this.#paths.get(name)
    if (path === undefined) throw new Error(`the kernel ${this.#tree.kernelRelease} has no module ${name}`)
    const plain = join(this.#tree.modules, path)
    const contents = existsSync(plain)
      ? readFileSync(plain)
      : execFileSync(programPath(this.#tree, 'busybox'), ['xzcat', `${plain}.xz`], { maxBuffer: 1 << 28 })
    writeFileSync(target, contents)
    return target
  }
}
