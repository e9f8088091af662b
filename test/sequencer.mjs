/**
 * Long tests first, so that no CPU is idle at the end. Where nothing has been measured yet, as in a fresh clone, jest goes by the
 * sizes of files; one that runs the whole program takes as long as another that is larger by far.
 */
import { statSync } from 'node:fs'
import Sequencer from '@jest/test-sequencer'

/** Bytes of other tests that take as long as a start of the program or two. */
const STARTS = 8000

/** Other tests leave huge pages to the garbage collector, by and by all that there are. */
const FIRST = /\/huge-?pages\.test\.ts$/

const weight = ({ path }) => statSync(path).size + (path.includes('/test/e2e/') ? STARTS : 0)

export default class extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests)
    const known = sorted.some(({ duration }) => duration !== undefined)
    const longFirst = known ? sorted : sorted.sort((a, b) => weight(b) - weight(a))
    return [
      ...longFirst.filter(({ path }) => FIRST.test(path)),
      ...longFirst.filter(({ path }) => !FIRST.test(path)),
    ]
  }
}
