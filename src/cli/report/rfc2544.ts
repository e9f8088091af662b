/** The results of `ixy-ts rfc2544`, a row for each size of frames (RFC 2544 §26). */
import { grouped } from '../../wording.ts'
import { bps, chart, duration, pps, share } from './figures.ts'
import { type Html, html, table } from './html.ts'
import type { Rfc2544 } from './model.ts'

type Size = Rfc2544['sizes'][number]
type Found = Size['throughput']

const NAMES = { throughput: 'Throughput', ndr: 'Non-drop rate', pdr: 'Partial-drop rate' } as const

/** `place`: of the run in the data of the page. */
export function rfc2544Section(
  { sizes, complete, directions, trials, linkMbit }: Rfc2544,
  place: number,
): Html {
  const rates = (['throughput', 'ndr', 'pdr'] as const).filter((name) => sizes.some((size) => size[name]))
  const drawn = sizes.filter(({ throughput }) => typeof throughput?.packetsPerSecond === 'number')
  return html`<p class="none">
      ${grouped(trials)} trials at ${grouped(linkMbit)} Mbit/s,
      ${directions === 1 ? 'one direction' : 'both directions at once; rates are those of each'}. Sizes are
      with FCS.
    </p>
    ${complete ? null : html`<p class="verdict warn">Not complete: it was ended before all was tested.</p>`}
    <div class="charts">
      ${drawn.length > 0 ? chart('throughput', place, 'Throughput by size of frames, and line rate') : null}
      ${sizes.some(({ latency }) => latency) ? chart('latency', place, 'Latency by size of frames') : null}
      ${sizes.some(({ loss }) => (loss?.length ?? 0) > 0) ? chart('loss', place, 'Frame loss by load') : null}
    </div>
    ${rates.map((name) =>
      rateTable(
        NAMES[name],
        sizes.map((size) => [size, size[name]] as const),
      ),
    )}
    ${section(sizes, 'latency', 'Latency', ['Load', 'Shortest', 'Mean', 'p50', 'p90', 'p99', 'p99.9', 'Longest', 'Lost'], ({ load, min, mean, p50, p90, p99, p999, max, lost }) => [pps(load?.packetsPerSecond), ...[min, mean, p50, p90, p99, p999, max].map(duration), grouped(lost)])}
    ${lossTable(sizes)}
    ${section(sizes, 'backToBack', 'Back-to-back frames', ['Load', 'Frames', 'Searches'], ({ load, frames, searches, atLeast }) => [pps(load?.packetsPerSecond), `${atLeast ? 'at least ' : ''}${grouped(Math.round(frames))}`, grouped(searches)])}
    ${section(sizes, 'reset', 'Reset', ['Load', 'By frames lost', 'By time', 'Lost'], ({ load, byLoss, byTime, lost }) => [pps(load?.packetsPerSecond), duration(byLoss * 1e6), duration(byTime * 1e6), grouped(lost)])}`
}

function rateTable(name: string, rows: readonly (readonly [Size, Found])[]): Html {
  const cells = rows.map(([{ frameBytes }, found]) => {
    if (!found) return [frameBytes, 'not tested', '', '', '', '']
    const { packetsPerSecond, bitsPerSecond, share: ofLine, forwarded, reached, testerLimited } = found
    const remarks = [
      ...(reached ? [] : ['search not at its end']),
      ...(testerLimited ? ['limited by the tester'] : []),
    ]
    if (packetsPerSecond === null)
      return [frameBytes, '–', '', '', '', reached ? 'no load without too much loss' : 'not known']
    return [
      ...[frameBytes, pps(packetsPerSecond), bps(bitsPerSecond ?? undefined), share(ofLine ?? 0)],
      ...[pps(forwarded?.packetsPerSecond), remarks.join(', ')],
    ]
  })
  return table(name, ['Bytes', 'Offered', '', 'Of line rate', 'Came through', 'Remarks'], cells)
}

function section<Name extends 'latency' | 'backToBack' | 'reset'>(
  sizes: readonly Size[],
  name: Name,
  caption: string,
  head: readonly string[],
  cells: (result: NonNullable<Size[Name]>) => readonly string[],
): Html | null {
  const rows = sizes.flatMap((size) => {
    const result = size[name]
    return result === null || result === undefined ? [] : [[size.frameBytes, ...cells(result)]]
  })
  return rows.length === 0 ? null : table(caption, ['Bytes', ...head], rows)
}

function lossTable(sizes: readonly Size[]): Html | null {
  const rows = sizes.flatMap(({ frameBytes, loss }) =>
    (loss ?? []).map(({ share: ofMost, offered, sent, lost, lossRatio, unusable }) => [
      ...[frameBytes, share(ofMost), pps(offered?.packetsPerSecond), grouped(sent), grouped(lost)],
      unusable === null ? share(lossRatio) : `not judged: ${unusable}`,
    ]),
  )
  return rows.length === 0
    ? null
    : table('Frame loss', ['Bytes', 'Of the largest load', 'Offered', 'Sent', 'Lost', 'Loss'], rows)
}
