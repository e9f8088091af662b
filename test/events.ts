/** Holds what the tool prints with --json against docs/events.schema.json. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import Ajv2020, { type ErrorObject, type ValidateFunction } from 'ajv/dist/2020'

interface Schema {
  readonly $id: string
  readonly oneOf: readonly { readonly $ref: string }[]
  readonly $defs: Readonly<Record<string, unknown>>
}

export const SCHEMA = JSON.parse(
  readFileSync(path.join(__dirname, '../docs/events.schema.json'), 'utf8'),
) as Schema

let ajv: Ajv2020 | undefined

/** The schema of one event alone, whose errors say more than those of all together; null if there is no such event. */
function validatorOf(event: unknown): ValidateFunction | null {
  const found = SCHEMA.oneOf.find(({ $ref }) => $ref === `#/$defs/${String(event)}`)
  if (found === undefined) return null
  ajv ??= new Ajv2020({ schemas: [SCHEMA], allowUnionTypes: true, strict: true, strictRequired: false })
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
