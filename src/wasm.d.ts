/** What this project uses of WebAssembly; @types/node leaves it to the DOM's types. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer
  }
  /** Limits in pages of 64 KiB. */
  const Memory: new (limits: { initial: number; maximum: number }) => Memory

  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>
  }
  const Instance: new (module: Module, imports: Record<string, Record<string, unknown>>) => Instance

  type Module = object
  const Module: {
    new (code: Uint8Array<ArrayBuffer>): Module
    imports(module: Module): { module: string; name: string; kind: string }[]
    exports(module: Module): { name: string; kind: string }[]
  }

  class LinkError extends Error {}
  class RuntimeError extends Error {}
}

/** AssemblyScript compiled by assemblyscript.mjs: the module's bytes. */
declare module '*.wasm' {
  const code: Uint8Array<ArrayBuffer>
  export default code
}
