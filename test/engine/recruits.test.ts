import { Recruits } from '../../src/engine/recruits.ts'

test('recruits load their program before they have anything to do, and each is given away once', async () => {
  const recruits = new Recruits(2)
  recruits.start()
  recruits.start()
  const [first, second] = [recruits.take(), recruits.take()]
  expect(second).not.toBe(first)
  for (const thread of [first, second]) thread.waitUntilLoaded()
  expect([first, second].map((thread) => Atomics.load(thread['loaded'], 0))).toEqual([1, 1])
  recruits.dismiss()
  // Those given away are their owner's to end, and one more than was planned for is started when it is asked for.
  const third = recruits.take()
  const all = [first, second, third]
  expect(all.map(({ worker }) => worker.threadId > 0)).toEqual([true, true, true])
  await Promise.all(all.map((thread) => thread.terminate()))
  await Promise.all(all.map((thread) => thread.exited))
})

test('those that nobody has taken end', async () => {
  const recruits = new Recruits(1)
  recruits.start()
  const [thread] = recruits['threads']
  recruits.dismiss()
  await thread.exited
  expect(thread.worker.threadId).toBe(-1)
})
