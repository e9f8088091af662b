/**
 * A vhost-user back end in a process of its own: what it is sent comes back, after a while and in another order if asked for. Written
 * from the protocol's specification; its queues are those of the virtio model. Everything it is asked is reported to the parent.
 */
import { drainEventFd, signalEventFd } from '../../../src/linux/file.ts'
import { mmap } from '../../../src/linux/mapping.ts'
import { UnixListener, type UnixSocket } from '../../../src/linux/unix-socket.ts'
import { Breaches } from '../../driver/virtio/model/breaches.ts'
import { type Chain, SplitDeviceQueue } from '../../driver/virtio/model/device-queue.ts'
import { HostMemory } from '../../driver/virtio/model/host-memory.ts'

export interface Behaviour {
  readonly features?: string
  /** Answers this request with an error, with nothing, with nonsense, or by hanging up. */
  readonly refuse?: number
  readonly ignore?: number
  readonly garble?: number
  readonly hangUp?: number
}

export type Event =
  | { readonly request: number; readonly index?: number }
  | { readonly breaches: string[]; readonly kicks: number }

const [path, text] = process.argv.slice(2)
const behaviour = JSON.parse(text) as Behaviour
/** MRG_RXBUF, EVENT_IDX, the protocol's own bit, VERSION_1; and what must not be accepted: GUEST_CSUM, CTRL_VQ, MQ. */
const FEATURES = BigInt(
  behaviour.features ?? (1 << 15) + (1 << 29) + (1 << 30) + 2 ** 32 + (1 << 1) + (1 << 17) + (1 << 22),
)
const REPLY = 0x5
const NEED_REPLY = 0x8
const HEADER_BYTES = 12

interface Ring {
  size: number
  addresses: { descriptors: number; driver: number; device: number } | null
  kick: number
  call: number
  enabled: boolean
  queue: SplitDeviceQueue | null
}

const breaches = new Breaches()
let memory = new HostMemory(breaches)
const rings: Ring[] = [0, 1].map(() => ({
  size: 0,
  addresses: null,
  kick: -1,
  call: -1,
  enabled: false,
  queue: null,
}))
let accepted = 0n
let kicks = 0
/** A receive buffer for the next frame. */
let spare: Chain | null = null

function report(event: Event): void {
  // The parent may have ended the test.
  process.send?.(event, () => undefined)
}

/** Values of a reply, or null for none beyond what was asked for. */
function handle(request: number, payload: DataView, fds: readonly number[]): bigint | null {
  const index = payload.byteLength >= 8 ? payload.getUint32(0, true) & 0xff : 0
  report({ request, index })
  const ring = rings[index]
  switch (request) {
    case 1:
      return FEATURES
    case 2:
      accepted = payload.getBigUint64(0, true)
      breaches.check((accepted & ~FEATURES) === 0n, 'accepted what was not offered')
      breaches.check(
        (accepted & ((1n << 1n) | (1n << 17n) | (1n << 22n))) === 0n,
        'accepted what it cannot honour',
      )
      return null
    case 5: {
      memory = new HostMemory(breaches)
      const count = payload.getUint32(0, true)
      breaches.check(count === fds.length, 'a file for each region')
      for (let i = 0; i < count; i++) {
        const [guest, bytes, user, offset] = [0, 8, 16, 24].map((at) =>
          Number(payload.getBigUint64(8 + 32 * i + at, true)),
        )
        breaches.check(guest === user, 'both addresses are the same here')
        memory.map({
          iova: guest,
          bytes,
          address: mmap(bytes, { fd: fds[i], offset }),
          fd: fds[i],
          fdOffset: offset,
        })
      }
      return null
    }
    case 8:
      ring.size = payload.getUint32(4, true)
      return null
    case 9: {
      const [descriptors, device, driver] = [8, 16, 24].map((at) => Number(payload.getBigUint64(at, true)))
      ring.addresses = { descriptors, driver, device }
      return null
    }
    case 11:
      ring.queue = null
      return BigInt(index)
    case 12:
      ring.kick = fds[0] ?? -1
      return null
    case 13:
      ring.call = fds[0] ?? -1
      return null
    case 15:
      return 0b1001n
    case 18:
      ring.enabled = payload.getUint32(4, true) === 1
      if (ring.addresses !== null && ring.enabled)
        ring.queue = new SplitDeviceQueue(
          memory,
          breaches,
          ring.size,
          ring.addresses,
          (accepted & (1n << 29n)) !== 0n,
        )
      ring.queue?.wantDoorbell(true)
      return null
    default:
      return null
  }
}

/** Takes one message if there is one. Returns false when the front end has gone. */
function serve(socket: UnixSocket): boolean {
  const header = new Uint8Array(HEADER_BYTES)
  const first = socket.receive(header)
  if (first === null) return true
  if (first.bytes === 0) return false
  const view = new DataView(header.buffer)
  const [request, flags, size] = [0, 4, 8].map((at) => view.getUint32(at, true))
  breaches.check((flags & 3) === 1, 'version 1')
  const payload = new Uint8Array(size)
  const rest = size === 0 ? { fds: [] } : socket.receiveFully(payload, 1000)
  if (behaviour.hangUp === request) return false
  if (behaviour.ignore === request) return true
  let value = handle(request, new DataView(payload.buffer), [...first.fds, ...rest.fds])
  if (value === null && (flags & NEED_REPLY) === 0) return true
  value ??= behaviour.refuse === request ? 1n : 0n
  const reply = new DataView(new ArrayBuffer(HEADER_BYTES + 8))
  reply.setUint32(0, behaviour.garble === request ? 77 : request, true)
  reply.setUint32(4, REPLY, true)
  reply.setUint32(8, 8, true)
  reply.setBigUint64(HEADER_BYTES, value, true)
  socket.send(new Uint8Array(reply.buffer))
  return true
}

/** Sends every frame back that there is room for. */
function echo(): void {
  const [rx, tx] = rings
  for (const { kick, queue } of rings) {
    if (kick === -1 || !drainEventFd(kick)) continue
    kicks++
    queue?.wantDoorbell(true)
  }
  if (rx.queue === null || tx.queue === null) return
  for (;;) {
    // What finds no place stays where it is.
    spare ??= rx.queue.take()
    const from = spare === null ? null : tx.queue.take()
    if (spare === null || from === null) break
    const to = spare
    spare = null
    const source = memory.at(from.parts[0].address, from.parts[0].length, 'transmit buffer')
    const target = memory.at(to.parts[0].address, source.byteLength, 'receive buffer')
    for (let at = 0; at < source.byteLength; at++) target.setUint8(at, source.getUint8(at))
    // num_buffers
    target.setUint16(10, 1, true)
    tx.queue.use(from, 0)
    rx.queue.use(to, source.byteLength)
  }
  if (rx.call !== -1 && rx.queue.takeInterrupt()) signalEventFd(rx.call)
}

const listener = UnixListener.listen(path)
process.send?.({ request: 0 })
let client: UnixSocket | null = null
const timer = setInterval(() => {
  client ??= listener.accept()
  if (client === null) return
  // Whatever has arrived, then the queues.
  for (let i = 0; i < 20; i++) {
    if (serve(client)) continue
    client.close()
    client = null
    report({ breaches: breaches.found, kicks })
    for (const ring of rings)
      Object.assign(ring, { addresses: null, kick: -1, call: -1, enabled: false, queue: null })
    kicks = 0
    spare = null
    return
  }
  echo()
}, 1)
process.on('disconnect', () => {
  clearInterval(timer)
  process.exit()
})
