/** `ixy-ts doctor` in the guest, and running what it says. */
import { PRODUCT_FOLDER } from './initramfs.ts'
import type { Guest } from './qemu.ts'

/** What the guest has no programs for: root's rights, modules with what they need, other processes' limits. */
const STAND_INS = `
sudo() { "$@"; }
modprobe() { load "$1" && load vfio_iommu_type1; }
prlimit() { NODE_PATH=${PRODUCT_FOLDER}/node_modules node --single-threaded -e '
  const prlimit = require("koffi").load("libc.so.6").func("int prlimit64(int, int, void *, void *)")
  process.exit(prlimit(Number(process.argv[1]), 8, new BigUint64Array([2n ** 64n - 1n, 2n ** 64n - 1n]), null))' "$2"; }
`

interface Diagnosed {
  readonly code: number
  readonly output: string
  /** Names of the checks that fail. */
  readonly failing: readonly string[]
  /** What is to mend them. */
  readonly commands: readonly string[]
}

/** What doctor says of the cards to this user, once `commands` have been run in the same shell. */
export async function doctor(
  guest: Guest,
  cards: readonly { readonly address: string }[],
  as: string,
  commands: readonly string[] = [],
): Promise<Diagnosed> {
  const addresses = cards.map(({ address }) => address).join(' ')
  const ixyTs = `node --single-threaded ${PRODUCT_FOLDER}/bin/ixy-ts doctor ${addresses} --json`
  const last = as === 'root' ? ixyTs : `su ${as} -s /bin/sh -c '${ixyTs}'`
  await guest.sh(`cat >/tmp/doctor.sh <<'END'\n${[STAND_INS, ...commands, last].join('\n')}\nEND`)
  const { code, output } = await guest.shell(`USER=user sh /tmp/doctor.sh`)
  const found = output
    .split('\n')
    .filter((line) => line.startsWith('{"event":"check"'))
    .map((line) => JSON.parse(line) as { check: string; status: string; commands: string[] })
  const failing = found.filter(({ status }) => status === 'fail')
  const distinct = (texts: string[]): string[] => [...new Set(texts)]
  return {
    code,
    output,
    failing: distinct(failing.map(({ check }) => check)),
    commands: distinct(failing.flatMap((finding) => finding.commands)),
  }
}
