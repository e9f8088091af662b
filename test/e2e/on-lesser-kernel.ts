/** Runs a program that finds some system calls missing, as on a kernel without them: `<number>,… program arguments…` */
import { replaceProgram } from '../../src/linux/privileges.ts'
import { refuse } from '../../src/linux/seccomp.ts'
import { ENOSYS } from '../../src/linux/seccomp-table.ts'

const [numbers, ...argv] = process.argv.slice(2)
refuse(
  numbers
    .split(',')
    .map((number) => ({ name: number, number: Number(number), stage: 'start', error: ENOSYS })),
)
replaceProgram(argv, process.env, [])
