/** Sends every packet back to where it came from: a whole application on one screen. See docs/tour.md. */
import { type DataPort, attachPort } from '../../src/engine/data-plane.ts'
import { Session } from '../../src/engine/session.ts'
import { PacketMemory } from '../../src/memory/packets.ts'

/** Bytes 0–5 of a frame are the destination's MAC address, 6–11 the source's. */
function swapMacAddresses(u8: Uint8Array, frame: number): void {
  for (let i = 0; i < 6; i++) {
    const byte = u8[frame + i]
    u8[frame + i] = u8[frame + 6 + i]
    u8[frame + 6 + i] = byte
  }
}

function reflect(memory: PacketMemory, port: DataPort, until: number): void {
  const batch = new Int32Array(32)
  while (performance.now() < until) {
    const count = port.rx.receive(batch, Math.min(batch.length, port.tx.room()))
    for (let i = 0; i < count; i++) swapMacAddresses(memory.u8, memory.dataOffset(batch[i]))
    port.tx.transmit(batch, 0, count)
  }
}

async function main(device: string, seconds: number): Promise<void> {
  const session = await Session.open({
    devices: [device],
    access: null,
    cpus: [],
    queues: 1,
    ringSize: 512,
    mtu: 1500,
    mode: 'poll',
    force: false,
  })
  const [{ memory: spec, ports }] = session.queueSets
  const memory = new PacketMemory(spec)
  const port = attachPort(ports[0], memory, 0)
  session.devices[0].start()
  reflect(memory, port, performance.now() + seconds * 1000)
  const { rxPackets, txPackets } = session.devices[0].statistics()
  await session.close()
  console.log(`${rxPackets} packets came in, ${txPackets} went back out`)
  if (txPackets === 0) process.exitCode = 1
}

const [device, seconds = '3'] = process.argv.slice(2)
if (device === undefined) {
  console.error('usage: reflect <device> [seconds]')
  process.exitCode = 2
} else void main(device, Number(seconds))
