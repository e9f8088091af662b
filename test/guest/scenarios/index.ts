import type { Scenario } from '../harness/scenario.ts'
import { smoke } from './smoke.ts'

/** In the order in which they run. */
export const scenarios: readonly Scenario[] = [smoke]
