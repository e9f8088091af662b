import { RegisterFile } from '../../../src/driver/intel/register-file.ts'
import { offsetOf } from '../../../src/driver/intel/register.ts'
import { REG } from '../../../src/driver/ixgbe/registers.ts'
import { StatisticsReader } from '../../../src/driver/ixgbe/statistics.ts'

/** A card that sends a frame of 60 bytes before each of the reads named. */
class Sending {
  packets = 0
  octets = 0
  before = new Set<number>()

  readonly window = {
    bytes: 0x20000,
    read32: (offset: number): number => {
      if (this.before.has(offset)) {
        this.packets++
        this.octets += 64
      }
      if (offset === offsetOf(REG.GPTC)) return this.take('packets')
      return offset === offsetOf(REG.GOTCL) ? this.take('octets') : 0
    },
    write32: () => undefined,
  }

  private take(counter: 'packets' | 'octets'): number {
    const value = this[counter]
    this[counter] = 0
    return value
  }
}

test.each([
  ['before the packets are read', REG.GPTC],
  ['before the octets are read', REG.GOTCL],
])('bytes sent never fall, and are right in the end, when a frame leaves %s', (_name, register) => {
  const card = new Sending()
  const reader = new StatisticsReader(new RegisterFile(card.window, 'card', '82599'))
  let bytes = 0
  const read = (): void => {
    const { txBytes } = reader.read()
    expect(txBytes).toBeGreaterThanOrEqual(bytes)
    bytes = txBytes
  }
  for (let frames = 1; frames <= 3; frames++) {
    card.before.add(offsetOf(register))
    read()
    card.before.clear()
    read()
    expect(reader.read()).toMatchObject({ txPackets: frames, txBytes: frames * 60 })
  }
})
