declare module 'js-yaml' {
  /** What the text says, as plain data. Throws if it is no YAML. */
  export function load(text: string): unknown
}
