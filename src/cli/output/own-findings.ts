/** What an app of the user's own has found out, for people and for scripts. */
import { inspect } from 'node:util'
import type { Findings } from '../../apps/command.ts'

/** `result`: null if there is none. */
export function ownFindings(
  name: string,
  result: unknown,
  counters: Readonly<Record<string, number>>,
): Findings {
  const [only, ...others] = Array.isArray(result) ? (result as unknown[]) : [result]
  // One worker, one result.
  const found = others.length === 0 ? only : others.every((one) => one === undefined) ? undefined : result
  const { json, warnings } = asJson(found ?? null)
  return {
    json: { app: { name, counters, result: json } },
    text: found === undefined || found === null ? null : asText(found),
    warnings,
    loss: null,
  }
}

function asText(found: unknown): Findings['text'] {
  if (typeof found === 'string') return { title: 'result', first: '', lines: found.split('\n') }
  const options = { depth: 4, breakLength: 72, maxArrayLength: 100 }
  return { title: 'result', first: '', lines: inspect(found, options).split('\n') }
}

/** What JSON has no word for is told in one that it has: a Map as an object, a Set as a list, a BigInt as text. */
function asJson(found: unknown): { json: unknown; warnings: string[] } {
  try {
    const text = JSON.stringify(found, (_, value: unknown) => {
      if (typeof value === 'bigint') return String(value)
      if (value instanceof Map) return Object.fromEntries(value as Map<string, unknown>) as unknown
      if (value instanceof Set) return [...(value as Set<unknown>)]
      return ArrayBuffer.isView(value) && !(value instanceof DataView)
        ? Array.from(value as Uint8Array)
        : value
    })
    return { json: text === undefined ? null : (JSON.parse(text) as unknown), warnings: [] }
  } catch (error) {
    const [why] = String(error instanceof Error ? error.message : error).split('\n')
    return { json: null, warnings: [`the result of the app can't be written as JSON: ${why}`] }
  }
}
