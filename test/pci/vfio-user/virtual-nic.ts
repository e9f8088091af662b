/** A virtual 82599 in a process of its own, which can be killed: `node <bundle> <socket>`. Ends with its parent. */
import { PollSet } from '../../../src/linux/poll.ts'
import { VirtualNic } from '../../../src/vnic/nic.ts'
import { SinkWire } from '../../../src/vnic/wires/sink.ts'

const nic = new VirtualNic({
  name: 'test',
  mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
  wire: new SinkWire('sink', null),
  strict: true,
})
nic.listen(process.argv[2])
process.send?.('listening')

let orphaned = false
process.on('disconnect', () => {
  orphaned = true
})

function turn(): void {
  if (orphaned) return nic.close()
  nic.wake(performance.now(), true)
  // Messages only: this NIC has no traffic, so it may sleep between two of them.
  if (nic.poll(performance.now()) === 0) new PollSet(nic.fds()).wait(5)
  setImmediate(turn)
}
turn()
