import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { place } from '../../src/engine/placement.ts'
import { onNode } from '../../src/linux/numa.ts'

const sysfs = mkdtempSync(path.join(tmpdir(), 'ixy-ts-numa-'))
afterAll(() => rmSync(sysfs, { recursive: true, force: true }))

function machine(name: string, cpulists: readonly string[]): string {
  const root = path.join(sysfs, name)
  cpulists.forEach((cpulist, node) => {
    const directory = path.join(root, 'devices/system/node', `node${node}`)
    mkdirSync(directory, { recursive: true })
    writeFileSync(path.join(directory, 'cpulist'), `${cpulist}\n`)
  })
  return root
}

const small = machine('small', ['0-1'])
const large = machine('large', ['0-3,8', '4-7'])

test('one node: nothing to decide, nothing to warn of', () => {
  expect(place([{ name: 'a', numaNode: 0 }], [], small)).toEqual({ cpus: [], node: null, warnings: [] })
})

test('several nodes: workers and memory go to the card, unless the user says otherwise', () => {
  expect(place([{ name: 'a', numaNode: 1 }], [], large)).toEqual({
    cpus: [4, 5, 6, 7],
    node: 1,
    warnings: [],
  })
  expect(place([{ name: 'a', numaNode: 0 }], [], large).cpus).toEqual([0, 1, 2, 3, 8])
  const { cpus, warnings } = place([{ name: 'a', numaNode: 1 }], [5, 8], large)
  expect(cpus).toEqual([5, 8])
  expect(warnings).toEqual(['--cpus 8: not on NUMA node 1 of a (its CPUs: 4,5,6,7)'])
})

test('cards on different nodes are worth a warning; a card of unknown node is not', () => {
  const nodes = (a: number, b: number): readonly string[] =>
    place([{ name: 'a', numaNode: a }, { name: 'b', numaNode: b }], [], large).warnings // prettier-ignore
  expect(nodes(0, 1)).toEqual(['b is on NUMA node 1, a on node 0: packets cross between them'])
  expect(nodes(1, -1)).toEqual([])
})

test('memory policy is set and taken back around an allocation', () => {
  expect(onNode(0, () => 42)).toBe(42)
  expect(() =>
    onNode(0, () => {
      throw new Error('no memory')
    }),
  ).toThrow('no memory')
})
