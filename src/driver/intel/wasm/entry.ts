/** AssemblyScript, compiled to WebAssembly: all that the worker does with its rings. One instance for each memory. */
export { receive, startRx } from './rx'
export { pending, room, startTx, transmit } from './tx'
export { receiveAt, roomAt, startPorts, transmitAt } from './ports'
export { move } from './move'
export { generate } from './generate'
export { startBuffers } from './buffers'
