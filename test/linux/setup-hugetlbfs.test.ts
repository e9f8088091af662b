import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findHugepageMounts, hugepageCounts } from '../../src/linux/hugepage-supply.ts'
import { missing, testIf } from '../skip.ts'

const script = join(__dirname, '../../setup-hugetlbfs.sh')
const total = hugepageCounts().find((size) => size.pageBytes === 2 ** 21)?.total

function obstacle(): string | null {
  if (total === undefined) return 'no huge pages of 2 MiB here'
  return spawnSync('unshare', ['-m', 'true']).status === 0 ? null : 'mount namespaces are not permitted here'
}

const reason = missing({ root: true, programs: ['unshare'] }) ?? obstacle()
testIf(reason, 'reserves pages and mounts a hugetlbfs, once', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ixy-setup-'))
  try {
    // As many pages as there are: this test changes nothing outside its mount namespace.
    const run = `"$0" 0 ${directory}/huge && "$0" 0 ${directory}/huge && cat /proc/mounts > ${directory}/mounts`
    const output = execFileSync('unshare', [
      '-m',
      'sh',
      '-c',
      `umount -a -t hugetlbfs; ${run}`,
      script,
    ]).toString()
    expect(output.match(/hugetlbfs mounted at/g)).toHaveLength(1)
    expect(output).toContain('a hugetlbfs is mounted already')
    expect(output).toContain(`${total} huge pages of 2048 KiB`)
    expect(findHugepageMounts(join(directory, 'mounts'))).toEqual([
      { path: `${directory}/huge`, pageBytes: 2 ** 21 },
    ])
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test.each([['many'], ['-1'], ['1.5']])('%s pages are refused', (pages) => {
  const { status, stderr } = spawnSync(script, [pages])
  expect(status).toBe(2)
  expect(stderr.toString()).toContain('usage: sudo')
})

test('explains itself', () => {
  expect(execFileSync(script, ['--help']).toString()).toContain('mount point, default /mnt/huge')
})
