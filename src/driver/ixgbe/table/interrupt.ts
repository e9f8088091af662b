/** Interrupts (82599 §8.2.3.5). */
import { bit, bits } from '../../intel/register.ts'
import { at, define } from '../../intel/define.ts'

const CAUSES = {
  RTX_QUEUE: bits(15, 0),
  FLOW_DIR: bit(16),
  RX_MISS: bit(17),
  PCI: bit(18),
  MAILBOX: bit(19),
  LSC: bit(20),
  LINKSEC: bit(21),
  MNG: bit(22),
  GPI_SDP0: bit(24),
  GPI_SDP1: bit(25),
  GPI_SDP2: bit(26),
  GPI_SDP3: bit(27),
  ECC: bit(28),
  TCP_TIMER: bit(30),
}

export const INTERRUPT = {
  EICR: define('8.2.3.5.1', 'RCW', at(0x00800), 'Extended interrupt cause', { ...CAUSES, OTHER: bit(31) }),
  EICS: define('8.2.3.5.2', 'WO', at(0x00808), 'Extended interrupt cause set', CAUSES, {
    reserved: 0x80000000,
  }),
  EIMS: define('8.2.3.5.3', 'RW', at(0x00880), 'Extended interrupt mask set/read', CAUSES, {
    reserved: 0x80000000,
  }),
  EIMC: define(
    '8.2.3.5.4',
    'WO',
    at(0x00888),
    'Extended interrupt mask clear',
    { ALL: bits(30, 0) },
    { reserved: 0x80000000 },
  ),
  EIAC: define('8.2.3.5.5', 'RW', at(0x00810), 'Extended interrupt auto clear', {
    RTX_QUEUE: bits(15, 0),
    TCP_TIMER: bit(30),
  }),
  EIAM: define('8.2.3.5.6', 'RW', at(0x00890), 'Extended interrupt auto mask', CAUSES, {
    reserved: 0x80000000,
  }),
  EICS_EX: define('8.2.3.5.7', 'WO', at(0x00a90, 4, 2), 'Interrupt cause set of MSI-X vectors 0 to 63'),
  EIMS_EX: define('8.2.3.5.8', 'RW', at(0x00aa0, 4, 2), 'Interrupt mask set/read of MSI-X vectors 0 to 63'),
  EIMC_EX: define('8.2.3.5.9', 'WO', at(0x00ab0, 4, 2), 'Interrupt mask clear of MSI-X vectors 0 to 63'),
  EIAM_EX: define('8.2.3.5.10', 'RW', at(0x00ad0, 4, 2), 'Interrupt auto mask of MSI-X vectors 0 to 63'),
  EITRSEL: define('8.2.3.5.11', 'RW', at(0x00894), 'MSI-X to EITR select'),
  EITR: define('8.2.3.5.12', 'RW', [at(0x00820, 4, 24), at(0x12300, 4, 105)], 'Interrupt throttle', {
    ITR_INTERVAL: bits(11, 3),
    LLI_MODERATION: bit(15),
    LLI_CREDIT: bits(20, 16),
    ITR_COUNTER: bits(27, 21),
    CNT_WDIS: bit(31),
  }),
  L34TIMIR: define('8.2.3.5.13', 'RW', at(0x0e800, 4, 128), 'L3/L4 tuple immediate interrupt receive', {
    SIZE_BP: bit(12),
    LLI: bit(20),
    RX_QUEUE: bits(27, 21),
  }),
  LLITHRESH: define('8.2.3.5.14', 'RW', at(0x0ec90), 'Low latency interrupt threshold'),
  IMIRVP: define(
    '8.2.3.5.15',
    'RW',
    at(0x0ec60),
    'Immediate interrupt receive VLAN priority',
    {},
    {
      aliases: [at(0x05ac0)],
    },
  ),
  IVAR: define('8.2.3.5.16', 'RW', at(0x00900, 4, 64), 'Interrupt vector allocation', {
    RX_EVEN: bits(5, 0),
    RX_EVEN_VAL: bit(7),
    TX_EVEN: bits(13, 8),
    TX_EVEN_VAL: bit(15),
    RX_ODD: bits(21, 16),
    RX_ODD_VAL: bit(23),
    TX_ODD: bits(29, 24),
    TX_ODD_VAL: bit(31),
  }),
  IVAR_MISC: define('8.2.3.5.17', 'RW', at(0x00a00), 'Miscellaneous interrupt vector allocation', {
    TCP_TIMER: bits(6, 0),
    TCP_TIMER_VAL: bit(7),
    OTHER: bits(14, 8),
    OTHER_VAL: bit(15),
  }),
  GPIE: define('8.2.3.5.18', 'RW', at(0x00898), 'General purpose interrupt enable', {
    SDP0_GPIEN: bit(0),
    SDP1_GPIEN: bit(1),
    SDP2_GPIEN: bit(2),
    SDP3_GPIEN: bit(3),
    MULTIPLE_MSIX: bit(4),
    OCD: bit(5),
    EIMEN: bit(6),
    LL_INTERVAL: bits(10, 7),
    RSC_DELAY: bits(13, 11),
    VT_MODE: bits(15, 14),
    EIAME: bit(30),
    PBA_SUPPORT: bit(31),
  }),
}
