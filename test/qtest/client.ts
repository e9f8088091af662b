/**
 * QEMU's qtest protocol (docs/devel/testing/qtest.rst of QEMU): a machine without a running CPU, whose ports and memory are
 * read and written by lines of text. Every line is answered by one, in order.
 */
import { POLLIN, pollOne } from '../../src/linux/poll.ts'
import type { UnixSocket } from '../../src/linux/unix-socket.ts'

/** Milliseconds for an answer. */
const DEADLINE = 10_000
/** Answers that may be outstanding; QEMU stops when nobody reads them. */
const MOST_UNANSWERED = 256

/** `readb`, `inb`… by the width in bytes. */
const SUFFIX: Readonly<Record<number, string>> = { 1: 'b', 2: 'w', 4: 'l' }

export class QtestClient {
  private readonly socket: UnixSocket
  private readonly chunk = new Uint8Array(4096)
  private received = ''
  private unanswered = 0

  /** Takes over the connection. */
  constructor(socket: UnixSocket) {
    this.socket = socket
  }

  read(address: number, bytes: number): number {
    return Number(this.ask(`read${SUFFIX[bytes]} ${address}`))
  }

  /** Doesn't wait for it; what is asked for afterwards is answered after it. */
  write(address: number, bytes: number, value: number): void {
    this.tell(`write${SUFFIX[bytes]} ${address} ${value >>> 0}`)
  }

  in(port: number, bytes: number): number {
    return Number(this.ask(`in${SUFFIX[bytes]} ${port}`))
  }

  /** As write(). */
  out(port: number, bytes: number, value: number): void {
    this.tell(`out${SUFFIX[bytes]} ${port} ${value >>> 0}`)
  }

  /** Waits until everything that was written has been done. */
  settle(): void {
    while (this.unanswered > 0) this.answer()
  }

  close(): void {
    this.socket.close()
  }

  private ask(line: string): string {
    this.tell(line)
    while (this.unanswered > 1) this.answer()
    return this.answer()
  }

  private tell(line: string): void {
    this.socket.send(Buffer.from(`${line}\n`))
    this.unanswered += 1
    if (this.unanswered > MOST_UNANSWERED) this.settle()
  }

  /** What the next answer says after its `OK`. */
  private answer(): string {
    let end = this.received.indexOf('\n')
    while (end < 0) {
      const part = this.socket.receive(this.chunk)
      if (part?.bytes === 0) throw new Error('QEMU has closed the qtest connection')
      if (part !== null) this.received += Buffer.from(this.chunk.subarray(0, part.bytes)).toString('latin1')
      else if (pollOne(this.socket.fd, POLLIN, DEADLINE) === 0) throw new Error('QEMU does not answer')
      end = this.received.indexOf('\n')
    }
    const line = this.received.slice(0, end)
    this.received = this.received.slice(end + 1)
    this.unanswered -= 1
    if (!/^OK\b/.test(line)) throw new Error(`QEMU answers: ${line}`)
    return line.slice(3)
  }
}
