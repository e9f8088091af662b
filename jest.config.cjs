/** Unit tests run from the TypeScript sources; test/e2e runs the bundle in dist/. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  // These take as long as a hundred others, or want the machine for themselves: make test-docs, make test-more.
  testPathIgnorePatterns: [
    '/node_modules/',
    ...['docs', 'packaging', 'qtest', 'steady'].map((part) => `<rootDir>/test/${part}/`),
  ],
  // `./wasm/rx.wasm` is compiled from wasm/rx.ts.
  // docs/examples and what users write import the library by its name.
  moduleNameMapper: { '^(.*/wasm/.*)\\.wasm$': '$1.ts', '^ixy-ts$': '<rootDir>/src/index.ts' },
  transform: {
    '/src/.*/wasm/[^/]*\\.ts$': '<rootDir>/assemblyscript.mjs',
    '^.+\\.[jt]s$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript' },
          target: 'es2022',
          transform: { useDefineForClassFields: false },
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  // chalk is published as ES modules only.
  transformIgnorePatterns: ['/node_modules/(?!chalk/)'],
  // A global is looked up slowly where jest runs the code, and loops over bytes and packets ask for these.
  sandboxInjectedGlobals: [
    ...['Array', 'Atomics', 'BigInt', 'Buffer', 'DataView', 'Float64Array', 'Int32Array', 'JSON', 'Math'],
    ...['Number', 'Object', 'Uint32Array', 'Uint8Array'],
  ],
  // The tests wait for half of their time: two more than there are CPUs keep all of these busy.
  maxWorkers: process.getBuiltinModule('node:os').availableParallelism() + 2,
  testSequencer: '<rootDir>/test/sequencer.mjs',
  setupFiles: ['<rootDir>/test/quick-starts.ts'],
  setupFilesAfterEnv: ['<rootDir>/test/equality.ts', '<rootDir>/test/quick-expect.ts'],
  testTimeout: 30_000,
  reporters: ['default', '<rootDir>/test/skips.mjs'],
}
