import { RegisterFile } from '../../src/driver/intel/register-file.ts'
import { REG } from '../../src/driver/ixgbe/registers.ts'
import { Session } from '../../src/engine/session.ts'
import { DmaArena } from '../../src/memory/arena.ts'
import { Connection } from '../../src/pci/vfio-user/connection.ts'

afterEach(() => jest.restoreAllMocks())

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
    devices: ['virtual:sink', 'virtual:sink'],
    access: null,
    cpus: [],
    queues: 1,
    ringSize: 64,
    force: false,
    mtu: 1500,
    mode: 'poll',
  })
  await expect(opening).rejects.toThrow('it stops half way')
  expect(memoryGone).toHaveBeenCalledTimes(1)
  expect(cardGone).toHaveBeenCalledTimes(2)
  const [memory] = memoryGone.mock.invocationCallOrder
  for (const card of cardGone.mock.invocationCallOrder) expect(card).toBeLessThan(memory)
})
