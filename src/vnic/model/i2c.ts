/** A slave on a bit-banged I2C bus: 256 bytes at each of its addresses, as SFP modules have (SFF-8472 §4). */

type State = 'idle' | 'address' | 'offset' | 'write' | 'read' | 'ignore'

export class I2cSlave {
  /** Memories by 8-bit address without the read/write bit: 0xA0, 0xA2. */
  private readonly memories: ReadonlyMap<number, Uint8Array>
  /** The level the slave lets SDA have: 0 pulls it down. */
  out = 1
  private scl = 1
  private sda = 1
  private state: State = 'idle'
  private shift = 0
  /** Which bit of the byte is on the bus: 0…7, 8 is the acknowledge bit, -1 between the start condition and bit 0. */
  private bits = -1
  private memory: Uint8Array | undefined
  private offset = 0

  constructor(memories: ReadonlyMap<number, Uint8Array>) {
    this.memories = memories
  }

  /** New levels that the master lets the two lines have. */
  drive(scl: number, sda: number): void {
    if (this.scl === 1 && scl === 1 && this.sda !== sda) {
      if (sda === 0) this.start()
      else this.stop()
    } else if (this.scl === 0 && scl === 1) this.rise(sda)
    else if (this.scl === 1 && scl === 0) this.fall()
    this.scl = scl
    this.sda = sda
  }

  private start(): void {
    this.state = 'address'
    this.bits = -1
    this.shift = 0
    this.out = 1
  }

  private stop(): void {
    this.state = 'idle'
    this.out = 1
  }

  /** The receiver of a bit looks at SDA while SCL is high. */
  private rise(sda: number): void {
    if (this.state === 'idle' || this.state === 'ignore') return
    if (this.bits < 8) {
      // While the slave sends, the shift register holds its byte.
      if (this.state !== 'read') this.shift = ((this.shift << 1) | sda) & 0xff
      return
    }
    // The master's answer to a byte we sent: 1 means no more.
    if (this.state === 'read' && this.out === 1 && sda === 1) this.state = 'ignore'
  }

  /** The sender of a bit changes SDA while SCL is low. */
  private fall(): void {
    if (this.state === 'idle' || this.state === 'ignore') {
      this.out = 1
      return
    }
    this.bits++
    if (this.bits === 8) {
      if (this.state === 'read') this.out = 1
      else this.out = this.takeByte() ? 0 : 1
    } else if (this.bits === 9) {
      this.bits = 0
      this.out = 1
      if (this.state === 'read') this.sendBit()
    } else if (this.state === 'read') this.sendBit()
  }

  private sendBit(): void {
    if (this.bits === 0) this.shift = this.next()
    this.out = (this.shift >> (7 - this.bits)) & 1
  }

  private next(): number {
    const value = this.memory === undefined ? 0xff : this.memory[this.offset]
    this.offset = (this.offset + 1) & 0xff
    return value
  }

  /** Eight bits from the master are complete. Returns true to acknowledge. */
  private takeByte(): boolean {
    const byte = this.shift
    switch (this.state) {
      case 'address':
        this.memory = this.memories.get(byte & 0xfe)
        if (this.memory === undefined) {
          this.state = 'ignore'
          return false
        }
        this.state = (byte & 1) === 0 ? 'offset' : 'read'
        return true
      case 'offset':
        this.offset = byte
        this.state = 'write'
        return true
      default:
        // Modules take writes to few bytes; what is written here is acknowledged and dropped.
        this.offset = (this.offset + 1) & 0xff
        return true
    }
  }
}
