// Forwards between devices 0 and 1, 2 and 3, and so on, both ways: an app of up to eight devices, which all its workers share.
const PORTS = 8

/** Twins so that each has a function of its own: V8 compiles it for the rings that it calls. */
function makeMover(memory, from, to, batchSize) {
  const source = `
    const batch = memory.batch(batchSize)
    return () => to.tx.transmit(batch, 0, from.rx.receive(batch, Math.min(batchSize, to.tx.room())))`
  return new Function('memory', 'from', 'to', 'batchSize', source)(memory, from, to, batchSize)
}

export default {
  name: 'pairs',
  ports: { min: 2, max: PORTS },
  passes: Array.from({ length: PORTS }, (_, i) => [i, i ^ 1]),
  make({ ports, memory, batchSize }) {
    const movers = ports.map((port, i) => makeMover(memory, port, ports[i ^ 1], batchSize))
    return {
      step() {
        let moved = 0
        for (const move of movers) moved += move()
        return moved
      },
      reset() {},
    }
  },
}
