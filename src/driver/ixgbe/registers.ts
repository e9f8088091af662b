/**
 * The registers of the 82599, from the datasheet (Intel 331520, rev 3.3, §8.2.3). X540 and X550 keep these.
 *
 * The only place where an offset, a bit, a reset value or an access mode is written down. Driver, virtual NIC,
 * `--dump-registers` and tests read it.
 *
 *     define('8.2.3.8.6', 'RW', at(0x01014, 0x40, 64)…, 'Receive descriptor length', { fields }, { reset, reserved })
 */
import { type Access, type Field, type Range, type Register, bit, bits } from './register.ts'

interface Extra {
  reset?: number
  reserved?: number
}

/** A register before the table gives it its name. */
type Unnamed<F extends string> = Omit<Register<F>, 'name'>

function at(base: number, stride = 4, count = 1): Range {
  return { base, stride, count }
}

function define<F extends string = never>(
  section: string,
  access: Access,
  where: Range | readonly Range[],
  description: string,
  fields: Record<F, Field> = {} as Record<F, Field>,
  { reset = 0, reserved = 0 }: Extra = {},
): Unnamed<F> {
  const ranges = 'base' in where ? [where] : where
  const count = ranges.reduce((sum, range) => sum + range.count, 0)
  return { ranges, count, access, section, description, fields, reset: reset >>> 0, reserved: reserved >>> 0 }
}

/** Gives each entry the name it has in the table. */
function table<T extends Record<string, Unnamed<string>>>(
  entries: T,
): { [K in keyof T]: T[K] & { readonly name: string } } {
  for (const [name, entry] of Object.entries(entries)) Object.assign(entry, { name })
  return entries as { [K in keyof T]: T[K] & { readonly name: string } }
}

/** Receive queues 0…63 and 64…127 live in two blocks (82599 §8.2.3.8). */
const rxQueue = (offset: number): readonly Range[] => [
  at(0x01000 + offset, 0x40, 64),
  at(0x0d000 + offset, 0x40, 64),
]
const txQueue = (offset: number): Range => at(0x06000 + offset, 0x40, 128)
const counter = (section: string, base: number, description: string, count = 1, stride = 4): Unnamed<never> =>
  define(section, 'RC', at(base, stride, count), description)

export const REG = table({
  // General control (§8.2.3.1)
  CTRL: define(
    '8.2.3.1.1',
    'RWS',
    at(0x00000),
    'Device control',
    {
      MASTER_DISABLE: bit(2),
      LRST: bit(3),
      RST: bit(26),
    },
    { reserved: 0xfbfffff3 },
  ),
  STATUS: define(
    '8.2.3.1.2',
    'RO',
    at(0x00008),
    'Device status',
    {
      LAN_ID: bits(3, 2),
      LINK_UP: bit(7),
      NUM_VFS: bits(17, 10),
      IOV_ACTIVE: bit(18),
      MASTER_ENABLE: bit(19),
    },
    { reset: 0x00080000 },
  ),
  CTRL_EXT: define(
    '8.2.3.1.3',
    'RW',
    at(0x00018),
    'Extended device control',
    {
      PFRSTD: bit(14),
      NS_DIS: bit(16),
      RO_DIS: bit(17),
      EXT_VLAN: bit(26),
      DRV_LOAD: bit(28),
    },
    { reset: 0 },
  ),
  ESDP: define('8.2.3.1.4', 'RW', at(0x00020), 'Extended SDP control', {
    SDP0_DATA: bit(0),
    SDP1_DATA: bit(1),
    SDP2_DATA: bit(2),
    SDP3_DATA: bit(3),
  }),
  LEDCTL: define('8.2.3.1.6', 'RW', at(0x00200), 'LED control', {}),

  // EEPROM and flash (§8.2.3.2)
  EEC: define('8.2.3.2.1', 'RWS', at(0x10010), 'EEPROM/flash control', {
    SK: bit(0),
    CS: bit(1),
    DI: bit(2),
    DO: bit(3),
    FWE: bits(5, 4),
    REQ: bit(6),
    GNT: bit(7),
    PRES: bit(8),
    AUTO_RD: bit(9),
    SIZE: bits(14, 11),
  }),
  EERD: define('8.2.3.2.2', 'RWS', at(0x10014), 'EEPROM read', {
    START: bit(0),
    DONE: bit(1),
    ADDR: bits(15, 2),
    DATA: bits(31, 16),
  }),

  // Interrupts (§8.2.3.5)
  EICR: define('8.2.3.5.1', 'RCW', at(0x00800), 'Extended interrupt cause', {
    RTX_QUEUE: bits(15, 0),
    LSC: bit(20),
    OTHER: bit(31),
  }),
  EICS: define('8.2.3.5.2', 'WO', at(0x00808), 'Extended interrupt cause set', { LSC: bit(20) }),
  EIMS: define('8.2.3.5.3', 'RW', at(0x00880), 'Extended interrupt mask set/read', {
    RTX_QUEUE: bits(15, 0),
    LSC: bit(20),
  }),
  EIMC: define(
    '8.2.3.5.4',
    'WO',
    at(0x00888),
    'Extended interrupt mask clear',
    { ALL: bits(30, 0) },
    { reserved: 0x80000000 },
  ),
  EIAC: define('8.2.3.5.5', 'RW', at(0x00810), 'Extended interrupt auto clear', { RTX_QUEUE: bits(15, 0) }),
  EIAM: define('8.2.3.5.6', 'RW', at(0x00890), 'Extended interrupt auto mask', {}),
  EITR: define('8.2.3.5.12', 'RW', [at(0x00820, 4, 24), at(0x12300, 4, 105)], 'Interrupt throttle', {
    ITR_INTERVAL: bits(11, 3),
    LLI_MODERATION: bit(15),
    LLI_CREDIT: bits(20, 16),
    ITR_COUNTER: bits(27, 21),
    CNT_WDIS: bit(31),
  }),
  IVAR: define('8.2.3.5.16', 'RW', at(0x00900, 4, 64), 'Interrupt vector allocation', {}),
  IVAR_MISC: define('8.2.3.5.17', 'RW', at(0x00a00), 'Miscellaneous interrupt vector allocation', {}),
  GPIE: define('8.2.3.5.18', 'RW', at(0x00898), 'General purpose interrupt enable', {
    MULTIPLE_MSIX: bit(4),
    OCD: bit(5),
    EIMEN: bit(6),
    LL_INTERVAL: bits(10, 7),
    RSC_DELAY: bits(13, 11),
    EIAME: bit(30),
    PBA_SUPPORT: bit(31),
  }),

  // Receive (§8.2.3.7, §8.2.3.8)
  FCTRL: define('8.2.3.7.1', 'RW', at(0x05080), 'Filter control', {
    SBP: bit(1),
    MPE: bit(8),
    UPE: bit(9),
    BAM: bit(10),
  }),
  VLNCTRL: define(
    '8.2.3.7.2',
    'RW',
    at(0x05088),
    'VLAN control',
    {
      VET: bits(15, 0),
      CFI: bit(28),
      CFIEN: bit(29),
      VFE: bit(30),
    },
    { reset: 0x8100 },
  ),
  MCSTCTRL: define('8.2.3.7.3', 'RW', at(0x05090), 'Multicast control', { MO: bits(1, 0), MFE: bit(2) }),
  RXCSUM: define('8.2.3.7.5', 'RW', at(0x05000), 'Receive checksum control', {
    IPPCSE: bit(12),
    PCSD: bit(13),
  }),
  MTA: define('8.2.3.7.7', 'RW', at(0x05200, 4, 128), 'Multicast table array', {}),
  RAL: define('8.2.3.7.8', 'RW', at(0x0a200, 8, 128), 'Receive address low', {}),
  RAH: define('8.2.3.7.9', 'RW', at(0x0a204, 8, 128), 'Receive address high', {
    ADDR: bits(15, 0),
    AV: bit(31),
  }),
  MRQC: define('8.2.3.7.12', 'RW', at(0x0ec80), 'Multiple receive queues command', {
    MRQE: bits(3, 0),
    RSS_TCP_IPV4: bit(16),
    RSS_IPV4: bit(17),
    RSS_IPV6: bit(20),
    RSS_TCP_IPV6: bit(21),
    RSS_UDP_IPV4: bit(22),
    RSS_UDP_IPV6: bit(23),
  }),
  RETA: define('8.2.3.7.14', 'RW', at(0x0eb00, 4, 32), 'Redirection table', {}),
  RSSRK: define('8.2.3.7.15', 'RW', at(0x0eb80, 4, 10), 'RSS random key', {}),
  RDBAL: define(
    '8.2.3.8.1',
    'RW',
    rxQueue(0x00),
    'Receive descriptor base address low',
    {},
    { reserved: 0x7f },
  ),
  RDBAH: define('8.2.3.8.2', 'RW', rxQueue(0x04), 'Receive descriptor base address high'),
  RDLEN: define(
    '8.2.3.8.3',
    'RW',
    rxQueue(0x08),
    'Receive descriptor length',
    { LEN: bits(19, 0) },
    { reserved: 0xfff0007f },
  ),
  RDH: define(
    '8.2.3.8.4',
    'RW',
    rxQueue(0x10),
    'Receive descriptor head',
    { RDH: bits(15, 0) },
    { reserved: 0xffff0000 },
  ),
  RDT: define(
    '8.2.3.8.5',
    'RW',
    rxQueue(0x18),
    'Receive descriptor tail',
    { RDT: bits(15, 0) },
    { reserved: 0xffff0000 },
  ),
  RXDCTL: define('8.2.3.8.6', 'RW', rxQueue(0x28), 'Receive descriptor control', {
    ENABLE: bit(25),
    VME: bit(30),
  }),
  SRRCTL: define('8.2.3.8.7', 'RW', rxQueue(0x14), 'Split receive control', {
    BSIZEPACKET: bits(4, 0),
    BSIZEHEADER: bits(13, 8),
    RDMTS: bits(24, 22),
    DESCTYPE: bits(27, 25),
    DROP_EN: bit(28),
  }),
  RDRXCTL: define(
    '8.2.3.8.8',
    'RW',
    at(0x02f00),
    'Receive DMA control',
    {
      CRCSTRIP: bit(1),
      DMAIDONE: bit(3),
      RSCFRSTSIZE: bits(21, 17),
      RSCACKC: bit(25),
      FCOE_WRFIX: bit(26),
    },
    { reset: 0x00000008 },
  ),
  RXPBSIZE: define(
    '8.2.3.8.9',
    'RW',
    at(0x03c00, 4, 8),
    'Receive packet buffer size',
    { SIZE: bits(19, 10) },
    { reset: 0x80000 },
  ),
  RXCTRL: define('8.2.3.8.10', 'RW', at(0x03000), 'Receive control', { RXEN: bit(0) }),
  RSCCTL: define('8.2.3.8.13', 'RW', rxQueue(0x2c), 'RSC control', { RSCEN: bit(0), MAXDESC: bits(3, 2) }),

  // Transmit (§8.2.3.9)
  DTXMXSZRQ: define(
    '8.2.3.9.1',
    'RW',
    at(0x08100),
    'DMA transmit maximum outstanding bytes',
    {
      MAX_BYTES_NUM_REQ: bits(11, 0),
    },
    { reset: 0x10, reserved: 0xfffff000 },
  ),
  DMATXCTL: define(
    '8.2.3.9.2',
    'RW',
    at(0x04a80),
    'DMA transmit control',
    { TE: bit(0), GDV: bit(3), VT: bits(31, 16) },
    { reset: 0x81000004 },
  ),
  TDBAL: define(
    '8.2.3.9.5',
    'RW',
    txQueue(0x00),
    'Transmit descriptor base address low',
    {},
    { reserved: 0x7f },
  ),
  TDBAH: define('8.2.3.9.6', 'RW', txQueue(0x04), 'Transmit descriptor base address high'),
  TDLEN: define(
    '8.2.3.9.7',
    'RW',
    txQueue(0x08),
    'Transmit descriptor length',
    { LEN: bits(19, 0) },
    { reserved: 0xfff0007f },
  ),
  TDH: define(
    '8.2.3.9.8',
    'RW',
    txQueue(0x10),
    'Transmit descriptor head',
    { TDH: bits(15, 0) },
    { reserved: 0xffff0000 },
  ),
  TDT: define(
    '8.2.3.9.9',
    'RW',
    txQueue(0x18),
    'Transmit descriptor tail',
    { TDT: bits(15, 0) },
    { reserved: 0xffff0000 },
  ),
  TXDCTL: define('8.2.3.9.10', 'RW', txQueue(0x28), 'Transmit descriptor control', {
    PTHRESH: bits(6, 0),
    HTHRESH: bits(14, 8),
    WTHRESH: bits(22, 16),
    ENABLE: bit(25),
    SWFLSH: bit(26),
  }),
  TDWBAL: define('8.2.3.9.11', 'RW', txQueue(0x38), 'Transmit descriptor write-back address low', {
    HEAD_WB_EN: bit(0),
  }),
  TDWBAH: define('8.2.3.9.12', 'RW', txQueue(0x3c), 'Transmit descriptor write-back address high'),
  TXPBSIZE: define(
    '8.2.3.9.13',
    'RW',
    at(0x0cc00, 4, 8),
    'Transmit packet buffer size',
    { SIZE: bits(19, 10) },
    { reset: 0xa000 },
  ),
  MTQC: define('8.2.3.9.15', 'RW', at(0x08120), 'Multiple transmit queues command', {
    RT_ENA: bit(0),
    VT_ENA: bit(1),
    NUM_TC_OR_Q: bits(3, 2),
  }),
  RTTDCS: define('8.2.3.10.2', 'RW', at(0x04900), 'DCB transmit descriptor plane control', {
    ARBDIS: bit(6),
  }),

  // MAC and link (§8.2.3.22)
  HLREG0: define('8.2.3.22.8', 'RW', at(0x04240), 'MAC core control 0', {
    TXCRCEN: bit(0),
    RXCRCSTRP: bit(1),
    JUMBOEN: bit(2),
    TXPADEN: bit(10),
    LPBK: bit(15),
  }),
  MAXFRS: define(
    '8.2.3.22.13',
    'RW',
    at(0x04268),
    'Maximum frame size',
    { MFS: bits(31, 16) },
    { reset: 0x05ee0000 },
  ),
  AUTOC: define('8.2.3.22.19', 'RW', at(0x042a0), 'Auto-negotiation control', {
    PMAPMD_10G_PARALLEL: bits(8, 7),
    RESTART_AN: bit(12),
    LMS: bits(15, 13),
  }),
  LINKS: define('8.2.3.22.20', 'RO', at(0x042a4), 'Link status', {
    LINK_SPEED: bits(29, 28),
    LINK_UP: bit(30),
  }),

  // Statistics (§8.2.3.23)
  CRCERRS: counter('8.2.3.23.1', 0x04000, 'CRC errors'),
  MPC: counter('8.2.3.23.4', 0x03fa0, 'Missed packets: no room in the packet buffer', 8),
  GPRC: counter('8.2.3.23.25', 0x04074, 'Good packets received'),
  GPTC: counter('8.2.3.23.29', 0x04080, 'Good packets transmitted'),
  GORCL: counter('8.2.3.23.26', 0x04088, 'Good octets received, low'),
  GORCH: counter('8.2.3.23.26', 0x0408c, 'Good octets received, high'),
  GOTCL: counter('8.2.3.23.30', 0x04090, 'Good octets transmitted, low'),
  GOTCH: counter('8.2.3.23.30', 0x04094, 'Good octets transmitted, high'),
  QPRC: counter('8.2.3.23.64', 0x01030, 'Queue packets received', 16, 0x40),
  QPRDC: counter('8.2.3.23.65', 0x01430, 'Queue packets received, dropped: no descriptor', 16, 0x40),
  QPTC: counter('8.2.3.23.67', 0x08680, 'Queue packets transmitted', 16),
})

export type RegisterName = keyof typeof REG
