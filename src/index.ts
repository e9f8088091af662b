/** The library: what an app of your own imports from 'ixy-ts'. */
export type { App, AppPort, AppSteps, Plan, PlanContext, WorkerContext } from './engine/app.ts'
export type { RxQueue, TxQueue } from './driver/device.ts'
export type { PacketMemory } from './memory/packets.ts'
export { EXIT_CODES, IxyError, usageError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
