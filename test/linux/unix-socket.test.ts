import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { close, createMemfd, pread, pwrite } from '../../src/linux/file.ts'
import { lastErrno, LinuxError } from '../../src/linux/libc.ts'
import { pollOne, POLLIN } from '../../src/linux/poll.ts'
import { receiveBytes } from '../../src/linux/scm.ts'
import { UnixListener, UnixSocket } from '../../src/linux/unix-socket.ts'

let directory: string
let path: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ixy-socket-'))
  path = join(directory, 's.sock')
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

function text(socket: UnixSocket, bytes: number): string {
  const target = new Uint8Array(bytes)
  const received = socket.receiveFully(target, 1000)
  expect(received.fds).toEqual([])
  return Buffer.from(target.subarray(0, received.bytes)).toString()
}

describe('connections', () => {
  test('client and server talk both ways', () => {
    const listener = UnixListener.listen(path)
    expect(listener.accept()).toBeNull()
    const client = UnixSocket.connect(path)
    expect(pollOne(listener.fd, POLLIN, 1000)).toBe(POLLIN)
    const server = listener.accept()
    if (server === null) throw new Error('no connection')
    client.send(Buffer.from('ping'))
    expect(text(server, 4)).toBe('ping')
    server.send([Buffer.from('po'), Buffer.from('ng')])
    expect(text(client, 4)).toBe('pong')
    expect(client.receive(new Uint8Array(1))).toBeNull()
    expect(client.peerHasClosed()).toBe(false)
    server.close()
    server.close()
    expect(client.peerHasClosed()).toBe(true)
    expect(client.receive(new Uint8Array(1))).toEqual({ bytes: 0, fds: [] })
    client.close()
    listener.close()
  })

  test('the socket file is its owner’s only, and gone after close', () => {
    const listener = UnixListener.listen(path)
    expect(lstatSync(path).mode & 0o777).toBe(0o600)
    listener.close()
    listener.close()
    expect(existsSync(path)).toBe(false)
  })

  test('a socket file nobody listens on is replaced, one in use is not', () => {
    const first = UnixListener.listen(path)
    expect(() => UnixListener.listen(path)).toThrow(/another server listens/)
    expect(existsSync(path)).toBe(true)
    // As after SIGKILL: the listening socket is gone, its file is not.
    close(first.fd)
    const second = UnixListener.listen(path)
    UnixSocket.connect(path).close()
    second.close()
    expect(existsSync(path)).toBe(false)
  })

  test('close leaves a file alone that somebody else has put there', () => {
    const listener = UnixListener.listen(path)
    rmSync(path)
    writeFileSync(path, 'mine')
    listener.close()
    expect(existsSync(path)).toBe(true)
  })

  test('an ordinary file is never replaced', () => {
    writeFileSync(path, 'precious')
    expect(() => UnixListener.listen(path)).toThrow(/is not a socket/)
    expect(existsSync(path)).toBe(true)
  })

  test('connecting fails with the reason', () => {
    expect(() => UnixSocket.connect(path)).toThrow(expect.objectContaining({ errno: 'ENOENT' }))
    const listener = UnixListener.listen(path)
    close(listener.fd)
    expect(() => UnixSocket.connect(path)).toThrow(expect.objectContaining({ errno: 'ECONNREFUSED' }))
    expect(() => UnixSocket.connect('x'.repeat(200))).toThrow(/200 bytes/)
    expect(() => UnixSocket.connect('')).toThrow(/0 bytes/)
  })

  test('connecting to a server that accepts nobody ends at the deadline', () => {
    const listener = UnixListener.listen(path)
    const clients: UnixSocket[] = []
    const start = performance.now()
    expect(() => {
      while (clients.length < 100) clients.push(UnixSocket.connect(path, 50))
    }).toThrow(expect.objectContaining({ errno: 'EAGAIN' }))
    expect(performance.now() - start).toBeGreaterThanOrEqual(50)
    for (const client of clients) client.close()
    listener.close()
  })
})

describe('streams', () => {
  test('whoever hangs up on unread bytes and descriptors leaves an end of stream, not a reset', () => {
    const file = createMemfd('ixy-ts-test', 4096)
    const [a, b] = UnixSocket.pair()
    b.send(Buffer.alloc(100_000), [file])
    a.send(Buffer.from('last'))
    a.hangUp()
    a.hangUp()
    expect(a.fd).toBe(-1)
    expect(text(b, 4)).toBe('last')
    expect(receiveBytes(b.fd, 1, [])).toBe(0)
    expect(() => b.send(Buffer.from('x'))).toThrow(expect.objectContaining({ errno: 'EPIPE' }))
    b.close()

    // What is avoided by that.
    const [c, d] = UnixSocket.pair()
    d.send(Buffer.from('unread'))
    c.close()
    expect(receiveBytes(d.fd, 1, [])).toBe(-1)
    expect(lastErrno()).toBe('ECONNRESET')
    d.close()
    close(file)
  })

  test('a peer that has gone is an error for the sender, not a signal', () => {
    const [a, b] = UnixSocket.pair()
    b.close()
    expect(() => a.send(Buffer.from('x'))).toThrow(expect.objectContaining({ errno: 'EPIPE' }))
    a.close()
  })

  test('a peer that does not read is an error at the deadline', () => {
    const [a, b] = UnixSocket.pair()
    const start = performance.now()
    expect(() => a.send(new Uint8Array(16 * 1024 * 1024), [], 50)).toThrow(
      expect.objectContaining({ errno: 'ETIMEDOUT' }),
    )
    expect(performance.now() - start).toBeGreaterThanOrEqual(49)
    a.close()
    b.close()
  })

  test('receiveFully waits no longer than asked and tells of a peer that closed half way', () => {
    const [a, b] = UnixSocket.pair()
    a.send(Buffer.from('abc'))
    expect(() => b.receiveFully(new Uint8Array(4), 20)).toThrow(LinuxError)
    a.send(Buffer.from('abc'))
    a.close()
    expect(b.receiveFully(new Uint8Array(4), 1000).bytes).toBe(3)
    b.close()
  })

  test('whatever the sizes of sends and receives, the bytes stay the same and in order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 0, maxLength: 300 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }),
        (chunks, sizes) => {
          const [a, b] = UnixSocket.pair()
          const all = Buffer.concat(chunks)
          a.send(chunks)
          const got: Uint8Array[] = []
          let total = 0
          for (let turn = 0; total < all.length; turn++) {
            const target = new Uint8Array(sizes[turn % sizes.length])
            const part = b.receive(target)
            if (part === null) throw new Error('bytes are missing')
            got.push(target.subarray(0, part.bytes))
            total += part.bytes
          }
          expect(Buffer.concat(got)).toEqual(all)
          a.close()
          b.close()
        },
      ),
      { numRuns: 50 },
    )
  })

  test('a message larger than one system call moves arrives whole', () => {
    const [a, b] = UnixSocket.pair()
    const message = new Uint8Array(150_000).map((_, index) => index * 7)
    a.send(message)
    const target = new Uint8Array(message.length)
    expect(b.receiveFully(target, 1000).bytes).toBe(message.length)
    expect(Buffer.from(target).equals(message)).toBe(true)
    a.close()
    b.close()
  })
})

describe('file descriptors', () => {
  test('a memfd sent through a socket is the same memory at the other end', () => {
    const [a, b] = UnixSocket.pair()
    const fd = createMemfd('passed', 4096)
    a.send(Buffer.from('m'), [fd])
    close(fd)
    const received = b.receiveFully(new Uint8Array(1), 1000)
    expect(received.fds).toHaveLength(1)
    const [copy] = received.fds
    pwrite(copy, Buffer.from('seen'), 100)
    const bytes = new Uint8Array(4)
    pread(copy, bytes, 100)
    expect(Buffer.from(bytes).toString()).toBe('seen')
    close(copy)
    a.close()
    b.close()
  })

  test('reading exactly one message at a time, each gets its own descriptors', () => {
    const [a, b] = UnixSocket.pair()
    const fds = [1, 2, 3, 4, 5].map((number) => {
      const fd = createMemfd(`fd${number}`, 4096)
      pwrite(fd, Uint8Array.of(number), 0)
      return fd
    })
    const groups = [[fds[0]], [], [fds[1], fds[2]], [], [fds[3], fds[4]]]
    groups.forEach((group, index) => a.send(Buffer.from(`head${index}body`), group))
    groups.forEach((group, index) => {
      const head = new Uint8Array(5)
      const body = new Uint8Array(4)
      const received = [...b.receiveFully(head, 1000).fds, ...b.receiveFully(body, 1000).fds]
      expect(Buffer.from(head).toString()).toBe(`head${index}`)
      const numbers = received.map((fd) => {
        const byte = new Uint8Array(1)
        pread(fd, byte, 0)
        close(fd)
        return byte[0]
      })
      expect(numbers).toEqual(group.map((fd) => fds.indexOf(fd) + 1))
    })
    fds.forEach(close)
    a.close()
    b.close()
  })

  test('as many as the kernel lets through in one message', () => {
    const [a, b] = UnixSocket.pair()
    const fd = createMemfd('many', 4096)
    a.send(Buffer.from('x'), new Array<number>(253).fill(fd))
    const { fds } = b.receiveFully(new Uint8Array(1), 1000)
    expect(new Set(fds).size).toBe(253)
    fds.forEach(close)
    expect(() => a.send(Buffer.from('x'), new Array<number>(254).fill(fd))).toThrow(/254 descriptors/)
    close(fd)
    a.close()
    b.close()
  })
})
