/** Called once by the command that ran, with the exit code. */
export type Finish = (exitCode: number) => void
