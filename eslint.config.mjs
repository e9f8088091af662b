import js from '@eslint/js'
import tseslint from 'typescript-eslint'
import { specialisedIsClosed } from './eslint-closed.mjs'

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', '.cache/', 'node_modules/'] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  {
    files: ['**/*.ts'],
    ignores: ['**/wasm/**'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    // Those that need types: a promise that nobody waits for is an error that nobody sees.
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: ['**/*.ts'],
    plugins: { 'ixy-ts': { rules: { 'specialised-is-closed': specialisedIsClosed } } },
    rules: {
      'ixy-ts/specialised-is-closed': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/unified-signatures': 'off',
      // A loop that polls a ring or a socket is this program's main idiom.
      'no-constant-condition': ['error', { checkLoops: false }],
      '@typescript-eslint/no-unnecessary-condition': 'off',
      eqeqeq: 'error',
    },
  },
  {
    // AssemblyScript has no imports of types, and classes without members where a type parameter says which way.
    files: ['**/wasm/**'],
    rules: {
      '@typescript-eslint/consistent-type-imports': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
    },
  },
  {
    // A bundle is one function to V8, which compiles all of it as soon as a loop in it is hot: some ms in each thread. Use forEach.
    files: ['src/**/*.ts'],
    ignores: ['**/wasm/**', 'src/page/**', 'src/engine/watchdog-thread.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...['For', 'ForOf', 'ForIn', 'While', 'DoWhile'].map((loop) => ({
          selector: `${loop}Statement:not(:function *)`,
          message: 'No loops at the top level of a module.',
        })),
      ],
    },
  },
  {
    // A server of devices, whichever they are.
    files: ['src/vnic/vfio-user/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: ['**/model/**', '**/driver/**', '**/wires/**'] }],
    },
  },
  {
    files: ['**/*.mjs', '**/*.cjs', 'bin/ixy-ts'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        module: 'writable',
        require: 'readonly',
        URL: 'readonly',
        globalThis: 'readonly',
      },
    },
  },
)
