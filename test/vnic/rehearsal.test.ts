import { rehearse } from '../../src/vnic/rehearsal.ts'

test('the rehearsal moves frames all the way round', () => {
  process.env['IXY_TS_REHEARSAL'] = '1'
  expect(rehearse()).toBeGreaterThan(100_000)
})
