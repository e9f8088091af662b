import { endOfPart, isStandardStream, toPath } from '../../src/captures/file-name.ts'

test.each([
  ['plain.pcap', 'plain.pcap'],
  ['C:\\odd\\name', 'C:\\odd\\name'],
  ['100%25.pcap', '100%25.pcap'],
  ['a\\,b.pcap', 'a,b.pcap'],
  ['a\\\\,b', 'a\\,b'],
  ['a\\\\x41', 'a\\x41'],
  ['\\x41\\x2C', 'A,'],
  ['gr\\xc3\\xbcn', 'grün'],
  ['grün', 'grün'],
  ['/dev/fd/63', '/proc/4711/fd/63'],
  ['/proc/self/fd/63', '/proc/4711/fd/63'],
])('%s is the file %s', (text, path) => {
  expect(toPath(text, 4711)).toBe(path)
})

test('names that are not UTF-8', () => {
  expect(toPath('a\\xff\\,ü')).toEqual(Buffer.from([0x61, 0xff, 0x2c, 0xc3, 0xbc]))
})

test.each([
  ['a,b', 1],
  ['a\\,b,c', 4],
  ['a\\\\,b', 3],
  ['a\\xff,b', 5],
  ['a', 1],
  ['a\\', 2],
])('the first part of %s ends at %i', (text, end) => {
  expect(endOfPart(text, 0)).toBe(end)
})

test('names of a process’s own streams', () => {
  expect(['-', '/dev/stdin', '/dev/fd/0'].every((name) => isStandardStream(name, 0))).toBe(true)
  expect(['-', '/dev/stdout', '/proc/self/fd/1'].every((name) => isStandardStream(name, 1))).toBe(true)
  expect(['/dev/stdout', '/dev/fd/1', 'out'].some((name) => isStandardStream(name, 0))).toBe(false)
})
