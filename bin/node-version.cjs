'use strict'
/* eslint-disable @typescript-eslint/no-require-imports */
/* global exports */
// Says why this Node.js is too old, or undefined if it isn't. As a program, for `make` before anything is installed: prints it
// and fails. Kept in old JavaScript, so that an old Node.js gets this far.
var floor = /\d+\.\d+/.exec(require('../package.json').engines.node)[0]

function number(version) {
  var parts = version.split('.')
  return parts[0] * 1000 + +parts[1]
}

exports.tooOld =
  number(process.versions.node) < number(floor)
    ? 'Node.js ' +
      process.versions.node +
      ' is too old: ' +
      floor +
      ' or newer is needed; sudo npm install -g node@24 installs one (README.md, "What you need")'
    : undefined

if (require.main === module && exports.tooOld !== undefined) {
  console.error(exports.tooOld)
  process.exit(1)
}
