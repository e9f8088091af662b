/** What device and driver agree on (virtio 1.2 §2.2, §5.1.3, §6). */

export const FEATURES = {
  /** The device has a MAC address. */
  MAC: 5,
  /** A packet may come in several buffers, and says in how many. */
  MRG_RXBUF: 15,
  /** The device tells of its link. */
  STATUS: 16,
  /** There is a queue for commands. */
  CTRL_VQ: 17,
  /** Promiscuous mode can be switched. */
  CTRL_RX: 18,
  /** Whole kinds of packets can be kept out. */
  CTRL_RX_EXTRA: 20,
  /** There are several queue pairs. */
  MQ: 22,
  /** A packet and its header may be in one descriptor. Legacy devices only, since 1.0 it goes without saying (§6.3). */
  ANY_LAYOUT: 27,
  /** Either side says from which buffer on it wants to be told. */
  EVENT_IDX: 29,
  /** The device is one of virtio 1.0 or later. */
  VERSION_1: 32,
  /** The device's addresses go through the platform's IOMMU. */
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  /** Memory is ordered as for a card outside of the CPU: ours always is. */
  ORDER_PLATFORM: 36,
  /** The device tells the speed of its link. */
  SPEED_DUPLEX: 63,
} as const

export type FeatureName = keyof typeof FEATURES
/** Numbers of bits. */
export type Features = ReadonlySet<number>

/**
 * Those without which one makes no sense (§5.1.3.1). What is offered and isn't in FEATURES is left out on purpose: whoever
 * accepts GUEST_CSUM or GUEST_TSO gets packets whose checksums are still to be computed, and a forwarder would pass them on; who
 * accepts CTRL_VLAN gets no VLAN that it hasn't asked for.
 */
const NEEDS: Partial<Record<FeatureName, FeatureName>> = {
  CTRL_RX: 'CTRL_VQ',
  CTRL_RX_EXTRA: 'CTRL_VQ',
  MQ: 'CTRL_VQ',
  RING_PACKED: 'VERSION_1',
}

/** What of `offered` this driver uses, for so many queue pairs. */
export function choose(offered: Features, queues: number): Features {
  const names = (Object.keys(FEATURES) as FeatureName[]).filter((name) => {
    const needed = NEEDS[name]
    return offered.has(FEATURES[name]) && (needed === undefined || offered.has(FEATURES[needed]))
  })
  const declined = new Set<FeatureName>()
  // With one pair the command queue is in another place (§5.1.2).
  if (queues === 1) declined.add('MQ')
  // In a packed ring QEMU's card, after it had to wait for its backend, takes what it finds and goes to sleep without naming the
  // descriptor that is to wake it: the one named before is up to a round behind, and can't be told from one that is yet to come. Without
  // EVENT_IDX it says just that it sleeps.
  if (names.includes('RING_PACKED')) declined.add('EVENT_IDX')
  return new Set(names.filter((name) => !declined.has(name)).map((name) => FEATURES[name]))
}

/** 32 feature bits from bit `from` on. */
export function featureWord(features: Features, from: number): number {
  let word = 0
  for (const bit of features) if (bit >= from && bit < from + 32) word |= 1 << (bit - from)
  return word >>> 0
}

/** The bits that are set in words of 32 bits, the lowest word first. */
export function featuresOf(...words: readonly number[]): Features {
  const bits = words.flatMap((word, i) =>
    Array.from({ length: 32 }, (_, bit) => ((word >>> bit) & 1 ? [i * 32 + bit] : [])),
  )
  return new Set(bits.flat())
}
