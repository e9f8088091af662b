/**
 * The registers of the 82599, from the datasheet (Intel 331520, rev 3.3, §8.2.3). X540 and X550 keep these.
 *
 * The only place where an offset, a bit, a reset value or an access mode is written down. Driver, virtual NIC,
 * `--dump-registers` and tests read it. The entries are in table/, one file per chapter:
 *
 *     define('8.2.3.8.6', 'RW', at(0x01014, 0x40, 64)…, 'Receive descriptor length', { fields }, { reset, reserved })
 */
import { table } from '../intel/define.ts'
import { FLOW_DIRECTOR } from './table/flow-director.ts'
import { GENERAL } from './table/general.ts'
import { INTERRUPT } from './table/interrupt.ts'
import { MAC } from './table/mac.ts'
import { OTHER } from './table/other.ts'
import { RECEIVE } from './table/receive.ts'
import { STATISTICS } from './table/statistics.ts'
import { TRANSMIT } from './table/transmit.ts'

export const REG = table({
  ...GENERAL,
  ...INTERRUPT,
  ...RECEIVE,
  ...TRANSMIT,
  ...MAC,
  ...STATISTICS,
  ...FLOW_DIRECTOR,
  ...OTHER,
})
