import { findPlaces } from '../../../src/driver/virtio/capabilities.ts'
import { virtio } from '../../../src/driver/virtio/driver.ts'
import { COMMON, LEGACY, NET, STATUS, Structure } from '../../../src/driver/virtio/registers.ts'
import { openFunction } from '../../../src/driver/virtio/open-function.ts'
import { BIT } from './model/network-card.ts'
import { CardTransport } from './model/transport.ts'

const CARD = { offered: [BIT.MAC, BIT.VERSION_1], queueSize: 64, pairs: 1, disorder: false }

let transport: CardTransport
const made = (legacy: boolean): CardTransport => (transport = new CardTransport({ ...CARD, legacy }))
afterEach(() => transport.release())

/** Places in configuration space, by the order of the capabilities. */
function capabilityAt(type: number): number {
  const { config } = transport
  for (let at = config.read8(0x34); at !== 0; at = config.read8(at + 1))
    if (config.read8(at) === 9 && config.read8(at + 3) === type && config.read8(at + 4) < 6) return at
  throw new Error(`no capability of type ${type}`)
}

describe.each([false, true])('a register dump, legacy: %s', (legacy) => {
  test('has every register with its width, decodes fields, and changes nothing', () => {
    const { card, state } = made(legacy)
    state.writeStatus(1)
    state.writeStatus(3)
    const dump = virtio.dump(transport)
    const entry = (name: string): unknown => dump.find((one) => one.name === name)
    expect(entry('device_status')).toMatchObject({ value: 3, fields: { ACKNOWLEDGE: 1, DRIVER: 1 } })
    expect(entry('mac_1')).toMatchObject({ value: 0x54 })
    expect(entry('status')).toMatchObject({ value: 1, fields: { LINK_UP: 1 }, section: '5.1.4' })
    expect(entry('queue_size')).toMatchObject({ value: 64, description: expect.stringContaining('BAR') })
    expect(entry('isr_status')).toMatchObject({ value: null })
    expect(state.readStatus()).toBe(3)
    expect(card.breaches.found).toEqual([])
    const names = dump.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(expect.arrayContaining(Object.keys(NET)))
  })
})

test('registers are in no place of others, and are where a table says', () => {
  for (const table of [COMMON, LEGACY, NET]) {
    let end = 0
    for (const { offset, width } of Object.values(table)) {
      expect(offset).toBeGreaterThanOrEqual(end)
      expect(offset % (width / 8)).toBe(0)
      end = offset + width / 8
    }
  }
  expect([COMMON.device_status.offset, COMMON.queue_device_hi.offset, NET.speed.offset]).toEqual([20, 52, 12])
})

test('what is read-only is not written, and what is not there is not read', () => {
  const bar = made(false).bar(4)
  const structure = new Structure(bar, 0x100, 56, 'x')
  expect(() => structure.write(COMMON.num_queues, 1)).toThrow(
    'x: num_queues is read-only (virtio 1.2 §4.1.4.3)',
  )
  expect(() => new Structure(bar, 0x300, 10, 'x').read(NET.speed)).toThrow(
    'x: speed lies beyond its structure of 10 bytes (virtio 1.2 §5.1.4)',
  )
})

describe('capabilities', () => {
  test('the first of a kind in a BAR that there can be counts', () => {
    made(false)
    expect(findPlaces(transport.config, 'x')).toEqual({
      common: { bar: 4, offset: 0x100, bytes: 56, multiplier: 0 },
      notify: { bar: 4, offset: 0x1000, bytes: 0x1000, multiplier: 8 },
      isr: { bar: 4, offset: 0x200, bytes: 1, multiplier: 0 },
      net: { bar: 4, offset: 0x300, bytes: 20, multiplier: 0 },
    })
  })

  test.each([
    [
      'a structure beyond the end of its BAR',
      1,
      8,
      0x1ff0,
      /registers up to 0x2028 of BAR4, which has 8192 bytes/,
    ],
    ['a common structure that is too short', 1, 12, 40, /doesn't say where all of its registers are/],
    ['no doorbells', 2, 2, 0, /doesn't say where all of its registers are/],
  ])('%s is refused', (_what, type, field, value, message) => {
    made(false)
    const at = capabilityAt(type) + field
    if (field === 2) transport.config.write8(at, value)
    else transport.config.write32(at, value)
    expect(() => openFunction(transport)).toThrow(message)
  })

  test('a doorbell beyond its structure is refused', () => {
    made(false)
    transport.config.write32(capabilityAt(2) + 12, 8)
    const fn = openFunction(transport)
    fn.status = STATUS.ACKNOWLEDGE
    const addresses = { descriptors: 0, driver: 0, device: 0 }
    expect(() => fn.startQueue(1, 64, addresses, 0xffff)).toThrow(
      /the doorbell of queue 1 is at 8 of 8 bytes/,
    )
  })

  test('a card that has modern registers and is not a modern one is refused', () => {
    transport = new CardTransport({ ...CARD, legacy: false, offered: [BIT.MAC] })
    expect(() => openFunction(transport)).toThrow(/doesn't offer VERSION_1/)
  })
})
