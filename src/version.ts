import { version } from '../package.json'

/** The version of ixy-ts, as package.json has it. */
export const VERSION: string = version
