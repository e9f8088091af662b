/* eslint-disable @typescript-eslint/no-require-imports */
/* global __dirname, exports */
// docs/events.schema.json for test/events.ts. Node.js loads this once in a process; jest would do so for each test file, and to
// compile the schema takes as long as a start of the program.
const { readFileSync } = require('node:fs')
const path = require('node:path')
const Ajv2020 = require('ajv/dist/2020').default

const schema = JSON.parse(readFileSync(path.join(__dirname, '../docs/events.schema.json'), 'utf8'))
exports.schema = schema
exports.ajv = new Ajv2020({ schemas: [schema], allowUnionTypes: true, strict: true, strictRequired: false })
