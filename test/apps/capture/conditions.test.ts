import { addCondition, limitsOf } from '../../../src/apps/capture/conditions.ts'
import { ONE_FILE } from '../../../src/captures/file-limits.ts'

test('conditions are read as dumpcap reads them', () => {
  const all = ['duration:1.5', 'filesize:1000', 'files:3', 'packets:10k'].reduce(
    (before, text) => addCondition('-b', text, before),
    {},
  )
  expect(all).toEqual({ duration: 1.5, filesize: 1_000_000, files: 3, packets: 10_000 })
  expect(addCondition('-a', 'filesize:64KiB')).toEqual({ filesize: 65_536 })
})

test.each(['foo:1', 'files', 'files:', 'files:0', 'duration:x', ':3', 'packets:1.5', 'toString:1'])(
  '%s is refused',
  (text) => {
    expect(() => addCondition('-a', text)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
  },
)

test('they say where files end', () => {
  expect(limitsOf({}, {})).toBe(ONE_FILE)
  expect(limitsOf({ filesize: 1000 }, {})).toEqual({ ...ONE_FILE, fileBytes: 1000, lastFile: 1 })
  expect(limitsOf({ files: 4 }, { packets: 10, files: 2 })).toEqual({
    fileBytes: null,
    filePackets: 10,
    fileSeconds: null,
    files: 2,
    lastFile: 4,
    single: false,
  })
})

test.each([
  [{}, { files: 2 }],
  [{ files: 2 }, {}],
  [{ filesize: 1000 }, { packets: 1 }],
])('%j and %j do not go together', (stop, next) => {
  expect(() => limitsOf(stop, next)).toThrow(expect.objectContaining({ code: 'IXY_ERR_USAGE' }))
})
