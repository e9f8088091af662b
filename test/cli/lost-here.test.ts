/** What an app itself has lost is lost, also where the balance ends at the app. */
import { tunnelCommand } from '../../src/apps/tunnel/command.ts'
import { countersOf } from '../../src/cli/commands/built-in.ts'

test('packets for an end whose address nobody has told are lost, those for another host are not', () => {
  const counters = { encapsulated: 5, unresolved: 1000, too_big: 2, other_host: 7, inner_ignored: 9 }
  expect(countersOf(tunnelCommand, counters)?.lostHere).toBe(1002)
  expect(countersOf({ app: tunnelCommand.app }, counters)?.lostHere).toBe(0)
})

test('each of them is one of its counters', () => {
  expect(tunnelCommand.app.counters).toEqual(expect.arrayContaining([...(tunnelCommand.lossCounters ?? [])]))
})
