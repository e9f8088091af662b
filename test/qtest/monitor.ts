/** QEMU's monitor (QMP): JSON, one object a line. Events are skipped. */
import type { UnixSocket } from '../../src/linux/unix-socket.ts'

const DEADLINE = 10_000

export class Monitor {
  private readonly socket: UnixSocket

  /** Takes over the connection. */
  constructor(socket: UnixSocket) {
    this.socket = socket
    this.line()
    this.run('qmp_capabilities')
  }

  /** Runs a command and waits for its result. Throws with what QEMU says if it fails. */
  run(execute: string, args: object = {}): unknown {
    this.socket.send(Buffer.from(`${JSON.stringify({ execute, arguments: args })}\n`))
    while (true) {
      const answer = JSON.parse(this.line()) as { return?: unknown; error?: { desc: string } }
      if (answer.error !== undefined) throw new Error(`QEMU: ${execute}: ${answer.error.desc}`)
      if (answer.return !== undefined) return answer.return
    }
  }

  close(): void {
    this.socket.close()
  }

  private line(): string {
    let text = ''
    const byte = new Uint8Array(1)
    while (!text.endsWith('\n')) {
      if (this.socket.receiveFully(byte, DEADLINE).bytes === 0) throw new Error('QEMU has closed its monitor')
      text += String.fromCharCode(byte[0])
    }
    return text
  }
}
