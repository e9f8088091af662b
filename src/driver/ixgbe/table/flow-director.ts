/** Flow Director filters (82599 §8.2.3.21, §7.1.2.7). ixy-ts does not use them; the virtual NIC has them. */
import { bit, bits } from '../../intel/register.ts'
import { at, define } from '../../intel/define.ts'

export const FLOW_DIRECTOR = {
  FDIRCTRL: define('8.2.3.21.1', 'RW', at(0x0ee00), 'Flow Director control', {
    PBALLOC: bits(1, 0),
    INIT_DONE: bit(3),
    PERFECT_MATCH: bit(4),
    REPORT_STATUS: bit(5),
    REPORT_STATUS_ALWAYS: bit(7),
    DROP_QUEUE: bits(14, 8),
    FLEX_OFFSET: bits(20, 16),
    MAX_LENGTH: bits(27, 24),
    FULL_THRESH: bits(31, 28),
  }),
  FDIRHKEY: define(
    '8.2.3.21',
    'RW',
    at(0x0ee68),
    'Flow Director hash key',
    {},
    {
      reset: 0x80000001,
    },
  ),
  FDIRSKEY: define(
    '8.2.3.21',
    'RW',
    at(0x0ee6c),
    'Flow Director signature key',
    {},
    {
      reset: 0x80800101,
    },
  ),

  // Masks: a one takes the bit out of the comparison and the hash. Addresses: the first byte on the wire is the lowest.
  FDIRDIP4M: define('8.2.3.21', 'RW', at(0x0ee3c), 'Flow Director destination IPv4 mask'),
  FDIRSIP4M: define('8.2.3.21', 'RW', at(0x0ee40), 'Flow Director source IPv4 mask'),
  /** Of each port the lowest bit masks the highest of the port. */
  FDIRTCPM: define('8.2.3.21', 'RW', at(0x0ee44), 'Flow Director TCP mask', {
    SOURCE: bits(15, 0),
    DESTINATION: bits(31, 16),
  }),
  FDIRUDPM: define('8.2.3.21', 'RW', at(0x0ee48), 'Flow Director UDP mask', {
    SOURCE: bits(15, 0),
    DESTINATION: bits(31, 16),
  }),
  /** A bit for each byte of the address, the lowest for the first on the wire. */
  FDIRIP6M: define('8.2.3.21', 'RW', at(0x0ee74), 'Flow Director IPv6 mask', {
    SOURCE: bits(15, 0),
    DESTINATION: bits(31, 16),
  }),
  FDIRM: define('8.2.3.21', 'RW', at(0x0ee70), 'Flow Director other mask', {
    VLAN_ID: bit(0),
    VLAN_PRIORITY: bit(1),
    POOL: bit(2),
    L4_TYPE: bit(3),
    FLEX: bit(4),
    DIPV6: bit(5),
  }),

  FDIRFREE: define('8.2.3.21', 'RW', at(0x0ee38), 'Flow Director free filters', {
    FREE: bits(15, 0),
    COLL: bits(30, 16),
  }),
  FDIRLEN: define('8.2.3.21', 'RC', at(0x0ee4c), 'Flow Director longest list', {
    MAXLEN: bits(5, 0),
    MAXHASH: bits(30, 16),
  }),
  FDIRUSTAT: define('8.2.3.21', 'RC', at(0x0ee50), 'Flow Director usage', {
    ADD: bits(15, 0),
    REMOVE: bits(31, 16),
  }),
  FDIRFSTAT: define('8.2.3.21', 'RC', at(0x0ee54), 'Flow Director failed usage', {
    FADD: bits(7, 0),
    FREMOVE: bits(15, 8),
  }),
  FDIRMATCH: define('8.2.3.21', 'RC', at(0x0ee58), 'Flow Director matches'),
  FDIRMISS: define('8.2.3.21', 'RC', at(0x0ee5c), 'Flow Director misses'),

  // The filter that a command is about.
  FDIRSIPV6: define('8.2.3.21', 'RW', at(0x0ee0c, 4, 3), 'Flow Director source IPv6, its first words'),
  FDIRIPSA: define('8.2.3.21', 'RW', at(0x0ee18), 'Flow Director source IPv4, or the last word of IPv6'),
  FDIRIPDA: define('8.2.3.21', 'RW', at(0x0ee1c), 'Flow Director destination IPv4'),
  FDIRPORT: define('8.2.3.21', 'RW', at(0x0ee20), 'Flow Director ports', {
    SOURCE: bits(15, 0),
    DESTINATION: bits(31, 16),
  }),
  /** FLEX: the first byte on the wire is the lower. */
  FDIRVLAN: define('8.2.3.21', 'RW', at(0x0ee24), 'Flow Director VLAN and flexible bytes', {
    VLAN: bits(15, 0),
    FLEX: bits(31, 16),
  }),
  FDIRHASH: define('8.2.3.21', 'RW', at(0x0ee28), 'Flow Director hash', {
    HASH: bits(14, 0),
    BUCKET_VALID: bit(15),
    SIGNATURE_OR_INDEX: bits(30, 16),
  }),
  FDIRCMD: define('8.2.3.21', 'RWS', at(0x0ee2c), 'Flow Director command', {
    CMD: bits(1, 0),
    FILTER_VALID: bit(2),
    FILTER_UPDATE: bit(3),
    IPV6DMATCH: bit(4),
    L4TYPE: bits(6, 5),
    IPV6: bit(7),
    CLEARHT: bit(8),
    DROP: bit(9),
    INT: bit(10),
    LAST: bit(11),
    COLLISION: bit(12),
    QUEUE_EN: bit(15),
    RX_QUEUE: bits(22, 16),
    VT_POOL: bits(29, 24),
  }),
}
