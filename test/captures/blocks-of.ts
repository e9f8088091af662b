/** A plain reader of pcapng, from its description; shares nothing with the sources. Little-endian only. */

export interface PlainBlock {
  readonly type: number
  readonly body: Buffer
  /** By number: the values of that option. */
  readonly options: ReadonlyMap<number, readonly Buffer[]>
}

/** Bytes of each block's body before its options; of a packet block they depend on its length. */
function fixedBytes(type: number, body: Buffer): number {
  if (type === 0x0a0d0d0a) return 16
  if (type === 1) return 8
  if (type === 5) return 12
  return 20 + ((body.readUInt32LE(12) + 3) & ~3)
}

export function blocksOf(file: Buffer): PlainBlock[] {
  const blocks: PlainBlock[] = []
  for (let at = 0; at < file.length;) {
    const [type, total] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)]
    if (total % 4 !== 0 || at + total > file.length || file.readUInt32LE(at + total - 4) !== total)
      throw new Error(`a block of ${total} bytes at ${at} of ${file.length}`)
    const body = file.subarray(at + 8, at + total - 4)
    blocks.push({ type, body, options: optionsOf(body.subarray(fixedBytes(type, body))) })
    at += total
  }
  return blocks
}

function optionsOf(bytes: Buffer): Map<number, Buffer[]> {
  const options = new Map<number, Buffer[]>()
  let ended = bytes.length === 0
  for (let at = 0; at < bytes.length;) {
    const [code, length] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)]
    if (code === 0) {
      ended = at + 4 === bytes.length
      break
    }
    options.set(code, [...(options.get(code) ?? []), bytes.subarray(at + 4, at + 4 + length)])
    at += 4 + ((length + 3) & ~3)
  }
  if (!ended) throw new Error('options without an end')
  return options
}

export interface PlainPacket {
  /** Nanoseconds since 1970. */
  readonly time: bigint
  readonly data: Buffer
  readonly originalLength: number
  readonly drops: number
  readonly queue: number | null
}

export function packetsOf(file: Buffer): PlainPacket[] {
  return blocksOf(file)
    .filter(({ type }) => type === 6)
    .map(({ body, options }) => ({
      time: (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)),
      data: body.subarray(20, 20 + body.readUInt32LE(12)),
      originalLength: body.readUInt32LE(16),
      drops: Number(options.get(4)?.[0].readBigUInt64LE() ?? 0),
      queue: options.get(6)?.[0].readUInt32LE() ?? null,
    }))
}

/** What the statistics at the end of a file say; undefined where they don't. */
export function statisticsOf(file: Buffer): Record<string, number | undefined> {
  const last = blocksOf(file).at(-1)
  if (last?.type !== 5) throw new Error('no statistics at the end')
  const value = (option: number): number | undefined => {
    const bytes = last.options.get(option)?.[0]
    return bytes === undefined ? undefined : Number(bytes.readBigUInt64LE())
  }
  return {
    ifrecv: value(4),
    ifdrop: value(5),
    filteraccept: value(6),
    osdrop: value(7),
    usrdeliv: value(8),
  }
}
