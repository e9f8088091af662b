/** DPDK's testpmd in a guest, driven by its command line. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type DebianTree, programPath } from './debian.ts'
import { addPrograms, extendInitramfs } from './initramfs.ts'
import type { Guest } from './qemu.ts'

const LIBRARIES = 'usr/lib/x86_64-linux-gnu'
/** Without it, what testpmd prints stays in its buffer, since its output is no terminal. */
const STDBUF = '/usr/lib/libstdbuf.so'

/** The initramfs at `base`, and testpmd. */
export function addTestpmd(path: string, base: string, tree: DebianTree): void {
  extendInitramfs(path, base, (archive) => {
    addPrograms(archive, tree, [programPath(tree, 'dpdk-testpmd')])
    archive.symlink('/var/run', '/run')
    archive.copy(STDBUF, join(tree.root, 'usr/libexec/coreutils/libstdbuf.so'))
    // The one plugin that testpmd isn't linked with, where DPDK looks for plugins.
    const [plugins = ''] = readdirSync(join(tree.root, LIBRARIES, 'dpdk'))
    const folder = join(tree.root, LIBRARIES, 'dpdk', plugins)
    for (const name of readdirSync(folder).filter((file) => file.startsWith('librte_mempool_ring.so')))
      archive.copy(`/${LIBRARIES}/dpdk/${plugins}/${name}`, join(folder, name))
  })
}

const PROMPT = 'testpmd> '

let count = 0

export class Testpmd {
  readonly #guest: Guest
  readonly #files: string

  /** Starts testpmd with these options of DPDK and of its own, and waits for its prompt. */
  static async start(guest: Guest, eal: string, options = ''): Promise<Testpmd> {
    const files = `/tmp/testpmd${++count}`
    const command = `dpdk-testpmd -l 0,1 --no-telemetry ${eal} -- -i --total-num-mbufs=16384 --rxd=1024 --txd=1024 ${options}`
    await guest.sh(
      `mkfifo ${files}.in
       (sh -c 'echo $$ >${files}.pid; _STDBUF_O=0 LD_PRELOAD=${STDBUF} exec ${command} <>${files}.in >${files}.out 2>&1'; echo $? >${files}.rc) >/dev/null 2>&1 &
       until [ -s ${files}.pid ] && [ -e ${files}.out ]; do usleep 20000; done`,
    )
    const testpmd = new Testpmd(guest, files)
    await testpmd.#prompt('start', 'before=0', 40)
    return testpmd
  }

  private constructor(guest: Guest, files: string) {
    this.#guest = guest
    this.#files = files
  }

  /** Runs a command; returns what was printed until the next prompt. */
  async command(text: string, seconds = 30): Promise<string> {
    return this.#prompt(
      text,
      `before=$(wc -c <${this.#files}.out); echo '${text}' >${this.#files}.in`,
      seconds,
    )
  }

  async commands(...texts: string[]): Promise<void> {
    for (const text of texts) await this.command(text)
  }

  /** Waits for a prompt behind the first $before bytes of the output, which `script` sets. */
  async #prompt(what: string, script: string, seconds: number): Promise<string> {
    const { code, output } = await this.#guest.shell(
      `${script}
       end=$(($(date +%s) + ${seconds}))
       until tail -c +$((before + 1)) ${this.#files}.out | grep -q '${PROMPT}'; do
         [ $(date +%s) -gt $end ] || [ -s ${this.#files}.rc ] && break; usleep 20000
       done
       tail -c +$((before + 1)) ${this.#files}.out; tail -c +$((before + 1)) ${this.#files}.out | grep -q '${PROMPT}'`,
      seconds + 30,
    )
    assert.equal(code, 0, `testpmd: ${what}: no prompt\n${output.slice(-4000)}`)
    return output
  }

  /** Everything printed so far. */
  async output(): Promise<string> {
    return this.#guest.sh(`cat ${this.#files}.out`)
  }

  /** kill -9, and waits for its end. */
  async kill(): Promise<void> {
    await this.#guest.sh(`kill -9 $(cat ${this.#files}.pid)`)
    await this.#ended()
  }

  async quit(): Promise<string> {
    await this.#guest.sh(`echo quit >${this.#files}.in`)
    await this.#ended()
    const output = await this.output()
    assert.match(output, /Bye\.\.\.\s*$/)
    return output
  }

  async #ended(): Promise<void> {
    await this.#guest.sh(`until [ -s ${this.#files}.rc ]; do usleep 20000; done`, 30)
  }
}

/** Gives PCI functions to a driver of the kernel. */
export async function bind(guest: Guest, driver: string, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const output = await guest.sh(
      `cd /sys/bus/pci/devices/${address} && echo ${driver} >driver_override
       [ -e driver ] && echo ${address} >driver/unbind
       echo ${address} >/sys/bus/pci/drivers_probe; basename $(readlink driver)`,
    )
    assert.equal(output.trim(), driver)
  }
}
