/** libpcap's own interpreter of filter programs, to judge ours by. */
import koffi from 'koffi'
import { mmap, viewOf } from '../../../src/linux/mapping.ts'
import type { FilterProgram } from '../../../src/packet/filter/program.ts'
import type { SeenPacket } from '../traffic.ts'

type Run = (program: bigint, header: bigint, packet: bigint) => number

/** `struct bpf_program` and `struct pcap_pkthdr`, and what they point to, at these places of one mapping. */
const HEADER = 32
const HEADER_CAPTURED = HEADER + 16
const HEADER_WIRE = HEADER + 20
const PACKET = 4096
const INSTRUCTIONS = 1024 * 1024
const BYTES = 2 * INSTRUCTIONS

/** `pcap_offline_filter` for one program after the other. */
export class Offline {
  private readonly run: Run
  private readonly address = mmap(BYTES)
  private readonly u8 = new Uint8Array(viewOf(this.address, BYTES))
  private readonly view = new DataView(this.u8.buffer)

  constructor() {
    const library = koffi.load('libpcap.so.0.8')
    const prototype = 'int pcap_offline_filter(void *program, void *header, void *packet)'
    this.run = library.func(prototype) as unknown as Run
    this.view.setBigUint64(8, this.address + BigInt(INSTRUCTIONS), true)
  }

  use({ instructions }: FilterProgram): void {
    const { view } = this
    view.setUint32(0, instructions.length, true)
    instructions.forEach(({ code, jt, jf, k }, i) => {
      const at = INSTRUCTIONS + 8 * i
      view.setUint16(at, code, true)
      view.setUint8(at + 2, jt)
      view.setUint8(at + 3, jf)
      view.setUint32(at + 4, k, true)
    })
  }

  matches({ data, wireLength }: SeenPacket): boolean {
    this.view.setUint32(HEADER_CAPTURED, data.length, true)
    this.view.setUint32(HEADER_WIRE, wireLength, true)
    this.u8.set(data, PACKET)
    return this.run(this.address, this.address + BigInt(HEADER), this.address + BigInt(PACKET)) !== 0
  }
}
