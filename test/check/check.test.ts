import { intelPort, virtioPort } from './cards.ts'
import { RIGHT } from './right.ts'
import { Rig, lineOf } from './rig.ts'
import { ACCESS } from './mistakes-of-access.ts'
import { OWNERSHIP } from './mistakes-of-ownership.ts'

const packed = virtioPort(true)
const MISTAKES = [...OWNERSHIP, ...ACCESS]

describe.each([
  ['82599, ts', 'ts', intelPort],
  ['82599, wasm', 'wasm', intelPort],
  ['virtio, packed', 'ts', packed],
  ['virtio, wasm', 'wasm', virtioPort(false)],
] as const)('%s', (_name, backend, make) => {
  const rig = new Rig(backend, make)

  // Most of it is the same for all.
  test.each(make === packed ? ACCESS : MISTAKES)('an app that $name: $kind', (mistake) => {
    const found = rig.run(mistake.make)
    expect([found?.finding.kind, found?.finding.at?.replace(/:\d+$/, '')]).toEqual([
      mistake.kind,
      lineOf(mistake),
    ])
    expect(found?.message).toContain(`: ${mistake.kind}: `)
    expect(found?.message).not.toContain('\n')
  })

  test.each(Object.entries(RIGHT))('nothing is found in an app that %s', (_, make) => {
    expect(rig.run(make, 300)).toBeNull()
  })
})

test('there are enough of them, and no two are called alike', () => {
  expect(MISTAKES.length).toBeGreaterThanOrEqual(30)
  expect(new Set(MISTAKES.map(({ name }) => name)).size).toBe(MISTAKES.length)
})
