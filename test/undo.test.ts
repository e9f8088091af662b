import { takeAllSteps, Undo } from '../src/undo.ts'

function recorder(): { taken: string[]; step: (name: string, fails?: boolean) => () => void } {
  const taken: string[] = []
  const step =
    (name: string, fails = false) =>
    (): void => {
      taken.push(name)
      if (fails) throw new Error(name)
    }
  return { taken, step }
}

test('the last thing done is the first undone, once, whatever a step throws; the first error is kept', () => {
  const { taken, step } = recorder()
  const undo = new Undo()
  undo.push(step('a'))
  undo.push(step('b', true))
  undo.push(step('c', true))
  undo.push(step('d'))
  expect(() => undo.run()).toThrow('c')
  expect(taken).toEqual(['d', 'c', 'b', 'a'])
  undo.run()
  undo.runQuietly()
  expect(taken.length).toBe(4)
})

test('quietly, it throws nothing', () => {
  const { taken, step } = recorder()
  const undo = new Undo()
  undo.push(step('a'))
  undo.push(step('b', true))
  undo.runQuietly()
  expect(taken).toEqual(['b', 'a'])
})

test('steps that follow each other are all taken; the first error is kept', () => {
  const { taken, step } = recorder()
  expect(() => takeAllSteps([step('a'), step('b', true), step('c', true), step('d')])).toThrow('b')
  expect(taken).toEqual(['a', 'b', 'c', 'd'])
})
