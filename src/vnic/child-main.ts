/** The entry of the process behind `virtual:<wire>` devices, which src/engine/virtual.ts starts. Of no use to people. */
import inspector from 'node:inspector'
import { serveParent } from './child.ts'

// SIGUSR1 opens a debugger, for whoever may connect to it, and the other two kill. The command line has closed one too, see bin/ixy-ts.
;['SIGUSR1', 'SIGUSR2', 'SIGALRM'].forEach((signal) => process.on(signal, () => undefined))
if (!(process.env['NODE_OPTIONS'] ?? '').includes('--inspect')) {
  const close = (): void => {
    if (inspector.url() !== undefined) inspector.close()
  }
  close()
  // One that came before opens it within the next moments.
  ;[0, 50, 200, 1000].forEach((delay) => setTimeout(close, delay).unref())
}
if (process.send === undefined) {
  process.stderr.write('ixy-ts: this is a part of ixy-ts; see ixy-ts vnic --help [IXY_ERR_USAGE]\n')
  process.exit(2)
}
serveParent()
