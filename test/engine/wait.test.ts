import { Bell } from '../../src/engine/wait.ts'

test('a bell ends the wait, or the next one if nobody waits yet, and only that one', async () => {
  const bell = new Bell()
  const long = 60_000
  setImmediate(bell.ring)
  await bell.wait(long)
  bell.ring()
  await bell.wait(long)
  const begin = performance.now()
  await bell.wait(20)
  expect(performance.now() - begin).toBeGreaterThan(15)
  // The timer of a wait that is over does nothing to a later one.
  setImmediate(bell.ring)
  await bell.wait(long)
})
