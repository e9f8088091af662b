import { REG } from '../../../src/driver/ixgbe/registers.ts'
import type { Host } from './host.ts'
import { frameOf, runningHost } from './host.ts'

const { MULTIPLE_MSIX, EIAME, OCD, PBA_SUPPORT } = REG.GPIE.fields
const LSC = REG.EICR.fields.LSC.mask

/** Receive of queue 0 on vector 3, transmit on vector 4, everything else on vector 5, as Linux sets it up. */
function msixHost(): Host {
  const host = runningHost()
  host.write(REG.GPIE, MULTIPLE_MSIX.mask | EIAME.mask | OCD.mask | PBA_SUPPORT.mask)
  host.write(REG.EIAM_EX, 0xffffffff, 0)
  host.write(REG.IVAR, 0x80 | 3 | ((0x80 | 4) << 8))
  host.write(REG.IVAR_MISC, (0x80 | 5) << 8)
  host.write(REG.EIAC, 0xffff)
  host.read(REG.EICR)
  host.signals.length = 0
  return host
}

function receiveOne(host: Host): void {
  host.wire.waiting.push(frameOf(60))
  host.poll()
}

describe('MSI-X', () => {
  test('a received packet rings its vector once, which is then cleared and masked', () => {
    const host = msixHost()
    host.write(REG.EIMS_EX, 0xff, 0)
    receiveOne(host)
    expect(host.signals).toEqual([3])
    expect(host.read(REG.EIMS_EX) & (1 << 3)).toBe(0)
    receiveOne(host)
    expect(host.signals).toEqual([3])
    // The packet that came meanwhile is told of as soon as the vector is unmasked.
    host.write(REG.EIMS_EX, 1 << 3, 0)
    expect(host.signals).toEqual([3, 3])
    host.write(REG.EIMS_EX, 1 << 3, 0)
    expect(host.signals).toEqual([3, 3])
  })

  test('a sent packet rings when it asked for status', () => {
    const host = msixHost()
    host.write(REG.EIMS, 0xffff)
    host.queueFrame(0, frameOf(60), false)
    host.write(REG.TDT, 1)
    host.poll()
    expect(host.signals).toEqual([])
    host.queueFrame(1, frameOf(60), true)
    host.write(REG.TDT, 2)
    host.poll()
    expect(host.signals).toEqual([4])
  })

  test('vectors above 15 work as well', () => {
    const host = msixHost()
    host.write(REG.IVAR, 0x80 | 40)
    host.write(REG.EIMS_EX, 1 << 8, 1)
    receiveOne(host)
    expect(host.signals).toEqual([40])
  })

  test('without a valid IVAR entry nothing rings', () => {
    const host = msixHost()
    host.write(REG.IVAR, 3)
    host.write(REG.EIMS, 0xffff)
    receiveOne(host)
    expect(host.signals).toEqual([])
  })

  test('a link change rings the vector of the other causes until it is dealt with, once per change', () => {
    const host = msixHost()
    host.write(REG.EIMS, LSC)
    host.device.setLink(false)
    expect(host.signals).toEqual([5])
    expect(host.read(REG.EICS) & LSC).toBe(LSC)
    host.poll(5)
    expect(host.signals).toEqual([5])
    host.write(REG.EICR, LSC)
    expect(host.read(REG.EICS) & LSC).toBe(0)
    host.device.setLink(true)
    host.waitForLink()
    expect(host.signals).toEqual([5, 5])
    // With GPIE.OCD reading clears the other causes only.
    host.write(REG.EIMC, 0xffff)
    host.write(REG.EICS, 1)
    expect(host.read(REG.EICR)).toBe((LSC | 1) >>> 0)
    expect(host.read(REG.EICR)).toBe(1)
  })

  test('EITR keeps a vector quiet; what happens meanwhile is told when its time has come', () => {
    const host = msixHost()
    // 500 intervals of 2 µs.
    host.write(REG.EITR, 500 << 3, 3)
    host.write(REG.EIAM_EX, 0, 0)
    host.write(REG.EIMS_EX, 0xff, 0)
    const frames = (): void => void host.wire.waiting.push(frameOf(60))
    frames()
    host.device.poll((host.now += 1))
    expect(host.signals).toEqual([3])
    frames()
    host.device.poll((host.now += 0.25))
    frames()
    host.device.poll((host.now += 0.25))
    expect(host.signals).toEqual([3])
    host.device.poll((host.now += 0.25))
    const due = host.device.nextEvent(host.now)
    expect(due - host.now).toBeCloseTo(0.25, 3)
    host.device.poll((host.now = due))
    expect(host.signals).toEqual([3, 3])
    expect(host.device.nextEvent(host.now)).toBe(Infinity)
  })
})

describe('a throttled interrupt whose cause has gone meanwhile', () => {
  /** Vector 3 has just rung, is quiet for 1 ms, and has another packet to tell of. */
  function throttled(): Host {
    const host = msixHost()
    host.write(REG.EITR, 500 << 3, 3)
    host.write(REG.EIAM_EX, 0, 0)
    host.write(REG.EIMS_EX, 0xff, 0)
    for (let i = 0; i < 2; i++) {
      host.wire.waiting.push(frameOf(60))
      host.device.poll((host.now += 0.25))
    }
    host.device.poll(host.now)
    expect(host.signals).toEqual([3])
    expect(host.device.nextEvent(host.now)).toBeGreaterThan(host.now)
    expect(host.device.nextEvent(host.now)).toBeLessThan(Infinity)
    return host
  }

  test.each([
    ['masked', (host: Host) => host.write(REG.EIMC_EX, 1 << 3, 0)],
    ['cleared', (host: Host) => host.write(REG.EICR, 1 << 3)],
  ])('%s: nothing is due any more, so that the loop may sleep', (_, withdraw) => {
    const host = throttled()
    withdraw(host)
    host.poll(5)
    expect(host.signals).toEqual([3])
    expect(host.device.nextEvent(host.now)).toBe(Infinity)
  })

  test('masked and unmasked again: it rings when the quiet time is over', () => {
    const host = throttled()
    host.write(REG.EIMC_EX, 1 << 3, 0)
    host.device.poll((host.now += 0.25))
    host.write(REG.EIMS_EX, 1 << 3, 0)
    expect(host.signals).toEqual([3])
    host.poll(5)
    expect(host.signals).toEqual([3, 3])
  })

  test('without MSI-X as well', () => {
    const host = runningHost()
    host.read(REG.EICR)
    host.write(REG.EITR, 500 << 3)
    host.write(REG.EIMS, 1)
    host.poll()
    host.signals.length = 0
    host.write(REG.EICS, 1)
    host.read(REG.EICR)
    host.write(REG.EICS, 1)
    expect(host.signals).toEqual([0])
    host.write(REG.EIMC, 1)
    host.poll(5)
    expect(host.device.nextEvent(host.now)).toBe(Infinity)
  })
})

describe('one interrupt for all', () => {
  test('rings for causes that are not masked; EICR tells which and clears', () => {
    const host = runningHost()
    host.read(REG.EICR)
    host.signals.length = 0
    host.write(REG.IVAR, 0x80)
    receiveOne(host)
    expect(host.signals).toEqual([])
    host.write(REG.EIMS, 1)
    expect(host.signals).toEqual([0])
    expect([host.read(REG.EICR), host.read(REG.EICR)]).toEqual([1, 0])
  })

  test('EIAM masks what a read of EICR has shown', () => {
    const host = runningHost()
    host.read(REG.EICR)
    host.write(REG.EIAM, 0xffff)
    host.write(REG.EIMS, 0x3)
    host.write(REG.EICS, 0x2)
    expect(host.read(REG.EICR)).toBe(2)
    expect(host.read(REG.EIMS)).toBe(1)
  })

  test.each([0, 1, 2, 9])('EICS, EIMS and EIMC of cause %i, as ethtool -t tries them', (cause) => {
    const host = runningHost()
    const mask = 1 << cause
    host.write(REG.EIMC, 0x7fffffff)
    host.read(REG.EICR)
    host.signals.length = 0
    host.write(REG.EICS, ~mask & 0x7fff)
    expect([host.signals.length, host.read(REG.EICR) & mask]).toEqual([0, 0])
    host.write(REG.EIMS, mask)
    host.write(REG.EICS, mask)
    expect([host.signals.length, host.read(REG.EICR) & mask]).toEqual([1, mask])
    host.write(REG.EIMC, mask)
    host.write(REG.EICS, mask)
    expect(host.signals.length).toBe(1)
  })
})

describe('PCI status bit 3', () => {
  const status = (host: Host, offset = 6, bytes = 2): number => {
    const target = new Uint8Array(bytes)
    host.device.config.read(offset, target)
    return target[6 - offset] & 8
  }
  const enable = (host: Host, at: number, bit: number): void => {
    const target = new Uint8Array(1)
    host.device.config.read(at, target)
    host.device.config.write(at, Uint8Array.of(target[0] | bit))
  }

  test('is set while a cause is pending that is not masked, also with the interrupt disabled', () => {
    const host = runningHost()
    host.read(REG.EICR)
    expect(status(host)).toBe(0)
    host.write(REG.EICS, LSC)
    expect(status(host)).toBe(0)
    host.write(REG.EIMS, LSC)
    // As Linux looks at it: command and status in one read.
    expect([status(host), status(host, 4, 4), status(host, 0, 64)]).toEqual([8, 8, 8])
    host.device.config.write(4, Uint8Array.of(0x06, 0x04))
    expect(status(host)).toBe(8)
    host.read(REG.EICR)
    expect(status(host)).toBe(0)
  })

  test.each([
    ['MSI', 0x52, 0x01],
    ['MSI-X', 0x73, 0x80],
  ])('is not set with %s, which is not INTx', (_, at, bit) => {
    const host = runningHost()
    host.write(REG.EIMS, LSC)
    host.write(REG.EICS, LSC)
    expect(status(host)).toBe(8)
    enable(host, at, bit)
    expect(status(host)).toBe(0)
  })

  test('when the interrupt is no longer disabled, what is pending is signalled', () => {
    const host = runningHost()
    host.read(REG.EICR)
    host.device.config.write(4, Uint8Array.of(0x06, 0x04))
    host.device.update()
    host.write(REG.EIMS, LSC)
    host.write(REG.EICS, LSC)
    host.signals.length = 0
    host.device.config.write(4, Uint8Array.of(0x06, 0x00))
    host.device.update()
    expect(host.signals).toEqual([0])
    host.device.update()
    expect(host.signals).toEqual([0])
  })
})

test('a reset forgets causes and masks', () => {
  const host = msixHost()
  host.write(REG.EICS, 1)
  host.write(REG.CTRL, REG.CTRL.fields.RST.mask)
  expect([host.read(REG.EICR), host.read(REG.EIMS)]).toEqual([0, 0])
})
