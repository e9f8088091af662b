/** A virtual 82599 that takes its time: `node <bundle> <socket> <milliseconds per answer>`. Ends with its parent. */
import { VirtualNic } from '../../src/vnic/nic.ts'
import { SinkWire } from '../../src/vnic/wires/sink.ts'

const nic = new VirtualNic({
  name: 'slow',
  mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56),
  wire: new SinkWire('sink', null),
  strict: true,
  onClient: () => process.send?.('client'),
})
nic.listen(process.argv[2])
process.send?.('listening')
process.on('disconnect', () => process.exit(0))

setInterval(() => {
  nic.wake(performance.now(), true)
  nic.poll(performance.now())
}, Number(process.argv[3]))
