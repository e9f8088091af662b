import { build } from 'esbuild'

/** Which of our sources become part of the bundle of `entry`. */
async function sourcesOf(entry: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
    outdir: 'nowhere',
    external: ['koffi', '*.wasm'],
    metafile: true,
  })
  return Object.keys(metafile.inputs).filter((file) => file.startsWith('src/'))
}

test('workers load the half of a driver that is theirs, and nothing of the control plane', async () => {
  const sources = await sourcesOf('src/apps/worker.ts')
  expect(sources).toContain('src/driver/intel/rx-ring.ts')
  const control = sources.filter((file) =>
    /registers|device\.ts$|driver\.ts$|^src\/pci|\/registry\.ts$/.test(file),
  )
  expect(control).toEqual([])
})
