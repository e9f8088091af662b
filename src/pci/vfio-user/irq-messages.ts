/** Payloads about interrupts: DEVICE_GET_IRQ_INFO, DEVICE_SET_IRQS. */
import { allocate, payloadView } from './payload.ts'

export const IrqFlag = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const

export interface IrqInfo {
  /** `IrqFlag`s. 0 in a request. */
  readonly flags: number
  readonly index: number
  /** Interrupts of this type. 0 in a request. */
  readonly count: number
}

const IRQ_INFO_BYTES = 16

/** Request and reply. */
export function encodeIrqInfo(info: IrqInfo): Uint8Array {
  const [payload, view] = allocate(IRQ_INFO_BYTES)
  view.setUint32(0, IRQ_INFO_BYTES, true)
  view.setUint32(4, info.flags, true)
  view.setUint32(8, info.index, true)
  view.setUint32(12, info.count, true)
  return payload
}

export function decodeIrqInfo(payload: Uint8Array): IrqInfo {
  const view = payloadView(payload, IRQ_INFO_BYTES, 'DEVICE_GET_IRQ_INFO')
  return { flags: view.getUint32(4, true), index: view.getUint32(8, true), count: view.getUint32(12, true) }
}

export const IrqSetFlag = {
  DATA_NONE: 0x01,
  DATA_BOOL: 0x02,
  /** Eventfds come along with the message; none: the interrupts are unassigned. */
  DATA_EVENTFD: 0x04,
  ACTION_MASK: 0x08,
  ACTION_UNMASK: 0x10,
  ACTION_TRIGGER: 0x20,
} as const

export interface IrqSet {
  /** One DATA and one ACTION of `IrqSetFlag`. */
  readonly flags: number
  readonly index: number
  readonly start: number
  /** 0 with DATA_NONE and ACTION_TRIGGER: the whole type is switched off. */
  readonly count: number
  /** `count` booleans with DATA_BOOL, else empty. */
  readonly data: Uint8Array
}

const IRQ_SET_BYTES = 20

export function encodeIrqSet(set: IrqSet): Uint8Array {
  const [payload, view] = allocate(IRQ_SET_BYTES + set.data.length)
  view.setUint32(0, payload.length, true)
  view.setUint32(4, set.flags, true)
  view.setUint32(8, set.index, true)
  view.setUint32(12, set.start, true)
  view.setUint32(16, set.count, true)
  payload.set(set.data, IRQ_SET_BYTES)
  return payload
}

export function decodeIrqSet(payload: Uint8Array): IrqSet {
  const view = payloadView(payload, IRQ_SET_BYTES, 'DEVICE_SET_IRQS')
  const set = {
    flags: view.getUint32(4, true),
    index: view.getUint32(8, true),
    start: view.getUint32(12, true),
    count: view.getUint32(16, true),
  }
  const dataBytes = (set.flags & IrqSetFlag.DATA_BOOL) === 0 ? 0 : set.count
  payloadView(payload, IRQ_SET_BYTES + dataBytes, 'DEVICE_SET_IRQS with its data')
  return { ...set, data: payload.subarray(IRQ_SET_BYTES, IRQ_SET_BYTES + dataBytes) }
}
