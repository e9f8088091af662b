/** Makes `ixy-ts` in an app of the user's own this very package, also where nothing is installed beside the app. */
import Module, { register } from 'node:module'
import { pathToFileURL } from 'node:url'
import { bundle } from '../bundles.ts'

const NAME = 'ixy-ts'

/** As Node.js has it from 22.15 on: in this thread, for import and require(). */
interface Loader {
  registerHooks?(hooks: { resolve: Resolve }): void
  _resolveFilename(request: string, ...rest: unknown[]): string
}
type Resolve = (
  specifier: string,
  context: { readonly conditions: readonly string[] },
  next: (specifier: string, context: unknown) => object,
) => object

let provided = false

/** For this thread. Idempotent. */
export function provideLibrary(): void {
  if (provided) return
  provided = true
  const required = bundle('index.cjs')
  const imported = pathToFileURL(bundle('index.mjs')).href
  const loader = Module as unknown as Loader
  if (loader.registerHooks !== undefined) {
    loader.registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== NAME) return next(specifier, context)
        const url = context.conditions.includes('import') ? imported : pathToFileURL(required).href
        return { url, shortCircuit: true }
      },
    })
    return
  }
  // Node.js 20 has other hooks: a module in a thread of its own for import, and none for require().
  const hook = `export const resolve = (specifier, context, next) =>
    specifier === '${NAME}' ? { url: ${JSON.stringify(imported)}, shortCircuit: true } : next(specifier, context)`
  register(`data:text/javascript,${encodeURIComponent(hook)}`)
  const resolve = loader._resolveFilename
  loader._resolveFilename = (request, ...rest) =>
    request === NAME ? required : resolve.call(loader, request, ...rest)
}
