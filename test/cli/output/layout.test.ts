import { labels } from '../../../src/cli/output/layout.ts'

test('a name holds nothing that a terminal obeys', () => {
  expect(labels([{ index: 0, device: 'virtual:record=\x1b[2J\n\u202Efdp.pcap' }])).toEqual([
    'virtual:record=?[2J??fdp.pcap',
  ])
})
