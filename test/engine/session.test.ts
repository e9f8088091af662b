import { setTimeout as sleep } from 'node:timers/promises'
import { RX_DD } from '../../src/driver/intel/descriptors.ts'
import type { IntelQueueSpec } from '../../src/driver/intel/queues.ts'
import { RegisterFile } from '../../src/driver/intel/register-file.ts'
import { REG } from '../../src/driver/ixgbe/registers.ts'
import { attachPort } from '../../src/engine/data-plane.ts'
import { Session } from '../../src/engine/session.ts'
import { viewOf } from '../../src/linux/mapping.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { PacketMemory } from '../../src/memory/packets.ts'
import { Connection } from '../../src/pci/vfio-user/connection.ts'

afterEach(() => jest.restoreAllMocks())

const OPTIONS = {
  access: null,
  cpus: [],
  queues: 1,
  ringSize: 64,
  force: false,
  mtu: 1500,
  mode: 'poll',
} as const

test.each([
  [false, 0],
  // IPv4 and UDP (82599 §7.1.6.2).
  [true, 0x210],
])('virtual devices look into packets if that is asked for: %s', async (inspect, type) => {
  const session = await Session.open({ ...OPTIONS, devices: ['virtual:gen,count=1'], inspect })
  try {
    const [{ memory, ports }] = session.queueSets
    const { rx } = ports[0] as IntelQueueSpec
    attachPort(ports[0], new PacketMemory(memory), 0)
    const words = new Uint32Array(viewOf(rx.address, 64 * 16))
    const deadline = performance.now() + 10_000
    session.devices[0].start()
    while ((words[2] & RX_DD) === 0 && performance.now() < deadline) await sleep(5)
    expect(words[2] & RX_DD).toBe(RX_DD)
    expect(words[0]).toBe(type)
  } finally {
    await session.close()
  }
})

test('a set-up that fails is undone in order: no card can do DMA any more when its memory is given back', async () => {
  const memoryGone = jest.spyOn(DmaArena.prototype, 'close')
  const cardGone = jest.spyOn(Connection.prototype, 'close')
  // The second card stops half way, when its receive queue runs already.
  const { waitFor } = RegisterFile.prototype
  let started = 0
  jest.spyOn(RegisterFile.prototype, 'waitFor').mockImplementation(function (this: RegisterFile, ...wait) {
    if (wait[0] === REG.TXDCTL && ++started === 2) throw new Error('it stops half way')
    waitFor.apply(this, wait)
  })
  const opening = Session.open({
    ...OPTIONS,
    devices: ['virtual:sink', 'virtual:sink'],
  })
  await expect(opening).rejects.toThrow('it stops half way')
  expect(memoryGone).toHaveBeenCalledTimes(1)
  expect(cardGone).toHaveBeenCalledTimes(2)
  const [memory] = memoryGone.mock.invocationCallOrder
  for (const card of cardGone.mock.invocationCallOrder) expect(card).toBeLessThan(memory)
})
