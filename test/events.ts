/** Holds what the tool prints with --json against docs/events.schema.json. */
import type Ajv2020 from 'ajv/dist/2020'
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020'

interface Schema {
  readonly $id: string
  readonly oneOf: readonly { readonly $ref: string }[]
  readonly $defs: Readonly<Record<string, unknown>>
}

// Not as jest loads it.
const load = process.getBuiltinModule('node:module').createRequire(__filename)
const { schema, ajv } = load('./event-schema.cjs') as { readonly schema: Schema; readonly ajv: Ajv2020 }

export const SCHEMA = schema

/** The schema of one event alone, whose errors say more than those of all together; null if there is no such event. */
function validatorOf(event: unknown): ValidateFunction | null {
  const found = SCHEMA.oneOf.find(({ $ref }) => $ref === `#/$defs/${String(event)}`)
  if (found === undefined) return null
  return ajv.getSchema(`${SCHEMA.$id}${found.$ref}`) ?? null
}

/** Why `value` is no event as documented; null if it is one. */
export function mistakeIn(value: unknown): string | null {
  const event = typeof value === 'object' && value !== null && 'event' in value ? value.event : undefined
  const validate = validatorOf(event)
  if (validate === null) return `there is no event ${JSON.stringify(event)} in docs/events.schema.json`
  if (validate(value)) return null
  const reasons = (validate.errors ?? []).map(reasonOf)
  return `not as docs/events.schema.json has it: ${reasons.join('; ')}`
}

function reasonOf({ instancePath, message = '', params }: ErrorObject): string {
  const key: unknown =
    params['additionalProperty'] ?? params['unevaluatedProperty'] ?? params['allowedValues']
  return `${instancePath === '' ? 'it' : instancePath} ${message}${key === undefined ? '' : ` (${String(key)})`}`
}

/** Throws for the first line of NDJSON that is no event as documented. An end that was cut off, by a kill, is left out. */
export function requireEvents(text: string): void {
  for (const line of text.split('\n').slice(0, -1)) {
    const mistake = mistakeIn(JSON.parse(line))
    if (mistake !== null) throw new Error(`${mistake}\n${line}`)
  }
}
