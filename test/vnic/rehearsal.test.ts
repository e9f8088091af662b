import { rehearse } from '../../src/vnic/rehearsal.ts'

test('the rehearsal moves frames all the way round', () => {
  expect(rehearse()).toBeGreaterThan(100_000)
})
