/** The import graph of src/: no circles, and down only, as docs/architecture.md has it. Imports of types count. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((name) => join('src', name))
  .filter((name) => name.endsWith('.ts'))

const graph = new Map(
  files.map((file) => {
    const imports = [...readFileSync(file, 'utf8').matchAll(/(?:from|import) '(\.[^']+\.ts)'/g)]
    return [file, imports.map(([, path]) => normalize(join(dirname(file), path)))]
  }),
)

test('every import is a file that is there', () => {
  expect(files.length).toBeGreaterThan(200)
  for (const imported of [...graph.values()].flat())
    expect(graph.has(imported) ? imported : null).toBe(imported)
})

test('there is no circle', () => {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    expect(path.includes(file) ? [...path.slice(path.indexOf(file)), file] : []).toEqual([])
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
})

/** From the top down. */
const LAYERS = ['cli', 'apps', 'engine', 'driver', 'pci', 'memory', 'linux']

test('no layer imports from one above it', () => {
  const layerOf = (file: string): number => LAYERS.indexOf(file.split('/')[1])
  const upwards = [...graph].flatMap(([file, imports]) =>
    imports
      .filter((other) => layerOf(other) >= 0 && layerOf(other) < layerOf(file))
      .map((other) => `${file} → ${other}`),
  )
  expect(upwards).toEqual([])
})

test('nothing above the drivers names one', () => {
  const naming = [...graph].flatMap(([file, imports]) =>
    /^src\/(cli|apps|engine)\//.test(file)
      ? imports.filter((other) => /^src\/driver\/[^/]+\//.test(other)).map((other) => `${file} → ${other}`)
      : [],
  )
  expect(naming).toEqual([])
})

test('nothing imports what is for a browser, which imports no more than it draws', () => {
  const page = ([file]: readonly [string, unknown]): boolean => file.startsWith('src/page/')
  const importers = [...graph].filter((one) => !page(one) && one[1].some((other) => page([other, null])))
  expect(importers.map(([file]) => file)).toEqual([])
  const outside = new Set([...graph].filter(page).flatMap(([, imports]) => imports))
  expect([...outside].filter((file) => !file.startsWith('src/page/')).sort()).toEqual([
    ...['src/cli/monitor/state.ts', 'src/cli/report/figures.ts', 'src/cli/report/html.ts'],
    ...['src/cli/report/model.ts', 'src/packet/rate.ts', 'src/wording.ts'],
  ])
})
