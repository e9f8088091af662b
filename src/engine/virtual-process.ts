/** The process in which a command's virtual NICs are. */
import { type ChildProcess, fork } from 'node:child_process'
import { bundle } from '../bundles.ts'

/** Starts `program`, the path of a bundle. What it writes to its stderr is for who reads ChildProcess.stderr. */
export function forkNics(program: string): ChildProcess {
  return fork(bundle('load.cjs'), [program], {
    // Its own options, not ours: two processes can't both be debugged on one port.
    execArgv: [],
    // Node.js reads all of these certificates whenever it starts, which takes 20 ms.
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined },
    // Wires may read a capture from our stdin or write one to our stdout; the child itself prints nothing there.
    stdio: ['inherit', 'inherit', 'pipe', 'ipc'],
  })
}
