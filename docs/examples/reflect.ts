/** Sends every packet back to where it came from: a whole app on one screen. */
import { type App, EthernetFrame } from 'ixy-ts'

const reflect: App = {
  name: 'reflect',
  ports: { min: 1, max: 1 },

  make({ ports: [{ rx, tx }], memory, batchSize }) {
    const batch = memory.batch(batchSize)
    const frame = new EthernetFrame()

    return {
      step() {
        // Only as many as can be sent: the others wait in the card.
        const count = rx.receive(batch, Math.min(batchSize, tx.room()))
        for (let i = 0; i < count; i++) if (frame.wrapPacket(memory, batch[i])) frame.swapAddresses()
        return tx.transmit(batch, 0, count)
      },
    }
  },
}
export default reflect
