/** What a page tells of one run. */
import { grouped, words } from '../../wording.ts'
import { bps, chart, duration, moment, pps, share, counterTable } from './figures.ts'
import { Html, html, table, tile } from './html.ts'
import type { Balance, RunData, Total } from './model.ts'
import { pktgenSection } from './pktgen.ts'
import { rfc2544Section } from './rfc2544.ts'
import { sum } from '../../sum.ts'

/** `place`: of the run in the data of the page; `alone`: its name is the page's title. */
export function runSection(run: RunData, place: number, alone: boolean): Html {
  const { notes, latency } = run
  const whole = run.totals.filter(({ queue }) => queue === null)
  const several = run.totals.some(({ queue }) => queue !== null)
  return html`<section class="run" aria-labelledby="run-${place}">
    <header>
      <h2 id="run-${place}" ${alone ? new Html(' class="hidden"') : null}>${run.name}</h2>
      <p class="meta">${metaOf(run)}</p>
      ${verdictOf(run)}
    </header>
    ${
      notes.length === 0
        ? null
        : html`<ul class="notes">
            ${notes.map((note) => html`<li>${note}</li>`)}
          </ul>`
    }
    ${tiles(run, whole)} ${run.rfc2544 === null ? null : rfc2544Section(run.rfc2544, place)}
    ${whole.length === 0 ? null : traffic('Traffic', whole)}
    <div class="charts">
      ${run.series.length === 0 ? null : html`${chart('packets', place, 'Packets per second')}${chart('bits', place, 'Bits per second on the wire')}`}
      ${several && run.series.some(({ queue }) => queue !== null) ? chart('queues', place, 'Packets per second, by queue') : null}
      ${run.series.length > 0 && dropsOf(whole).length > 0 ? chart('drops', place, 'Drops per second, by cause') : null}
      ${latency?.histogram === undefined || latency.count === 0 ? null : chart('ccdf', place, 'Round trips that took longer')}
    </div>
    ${dropTable(whole)} ${pktgenSection(run)} ${balanceTable(run.balance)} ${wires(run)}
    ${run.apps.map(({ name, counters, pid }) => counterTable(`${name}’s own counters${pid === undefined ? '' : `, pid ${pid}`}`, counters))}
    ${
      several
        ? html`<details>
            <summary>By queue</summary>
            ${traffic(
              'Traffic by queue',
              run.totals.filter(({ queue }) => queue !== null),
            )}
          </details>`
        : null
    }
    ${surroundings(run)}
  </section>`
}

function metaOf({ time, elapsed, system, command, version }: RunData): string {
  const tool = `ixy-ts ${command}${version === '' ? '' : ` (${version})`}`
  return [tool, moment(time), `${elapsed.toFixed(2)} s`, system?.host ?? '']
    .filter((part) => part !== '')
    .join(' · ')
}

const REASONS: Readonly<Record<string, string>> = {
  duration: 'Ended after its duration.',
  count: 'Ended after its count.',
  done: 'Ended when everything was sent and had come out.',
  signal: 'Ended by a signal.',
}

function verdictOf({ error, reason }: RunData): Html {
  if (error !== null)
    return html`<p class="verdict bad">
      <strong>Failed:</strong> ${error.message} <code>${error.code}</code>
    </p>`
  if (reason === null) return html`<p class="verdict warn">The end of the run is missing.</p>`
  return html`<p class="verdict good">${REASONS[reason] ?? reason}</p>`
}

function tiles(
  { loss, latency, activeSeconds, elapsed, lineRateLimited }: RunData,
  whole: readonly Total[],
): Html {
  const direction = (name: 'rx' | 'tx', title: string): Html => {
    const packets = grouped(sum(whole.map((total) => total[name].packets)))
    const rate = sum(whole.map((total) => total[name].packetsPerSecond ?? 0))
    return tile(title, pps(rate), `${packets} packets`)
  }
  const rested = activeSeconds < elapsed * 0.99 && activeSeconds > 0
  return html`<dl class="tiles">
    ${direction('tx', 'Sent')} ${direction('rx', 'Received')}
    ${loss === null || loss === undefined ? null : lossTile(loss)}
    ${latency === null || latency.p99 === null ? null : tile('Round trip, p99', duration(latency.p99), `median ${duration(latency.p50)}, longest ${duration(latency.max)}`)}
    ${rested ? tile('Packets moved for', `${duration(activeSeconds * 1e6)}`, 'averages are over that time') : null}
    ${lineRateLimited === false ? tile('Line rate', 'not limited', 'more than a link carries may come') : null}
  </dl>`
}

function lossTile({
  judged,
  reason,
  lost,
  corrupted,
  of,
  unaccounted,
  ratio,
}: NonNullable<RunData['loss']>): Html {
  if (!judged) return tile('Loss', 'not judged', reason)
  const damaged = corrupted > 0 ? ` and ${grouped(corrupted)} corrupted` : ''
  const unknown = unaccounted > 0 ? `, ${grouped(unaccounted)} unaccounted` : ''
  return tile(
    'Loss',
    share(ratio),
    `${grouped(lost)} lost${damaged} of ${grouped(of)}${unknown}`,
    lost + corrupted + unaccounted > 0,
  )
}

function traffic(caption: string, totals: readonly Total[]): Html {
  const rows = totals.flatMap((total) =>
    (['rx', 'tx'] as const).map((name) => {
      const { packets, bytes, packetsPerSecond, bitsPerSecond, peakPacketsPerSecond, peakBitsPerSecond } =
        total[name]
      return [
        total.label,
        name.toUpperCase(),
        ...[grouped(packets), grouped(bytes), pps(packetsPerSecond), bps(bitsPerSecond)],
        ...[pps(peakPacketsPerSecond), bps(peakBitsPerSecond)],
      ]
    }),
  )
  const head = ['Device', '', 'Packets', 'Bytes', 'Average', '', 'Peak', '']
  return table(caption, head, rows, 2)
}

/** Those that have dropped anything. */
function dropsOf(totals: readonly Total[]): [label: string, cause: string, packets: number][] {
  return totals.flatMap(({ label, dropped }) =>
    Object.entries(dropped).flatMap(([cause, packets]): [string, string, number][] =>
      packets === 0 ? [] : [[label, cause, packets]],
    ),
  )
}

function dropTable(whole: readonly Total[]): Html | null {
  const drops = dropsOf(whole)
  if (whole.length === 0) return null
  if (drops.length === 0) return html`<p class="none">No device has dropped a packet.</p>`
  const rows = drops.map(([label, cause, packets]) => [label, words(cause), grouped(packets)])
  return table('Dropped, by cause', ['Device', 'Cause', 'Packets'], rows, 2)
}

function balanceTable(balances: readonly Balance[]): Html | null {
  if (balances.length === 0) return null
  const rows = balances.map(
    ({ from, to, offered, copies, arrived, lost, filteredOut, underWay, unaccounted, corrupted }) => [
      `${from.device}${from.index === null ? '' : ` #${from.index}`} → ${to.device}${to.index === null ? '' : ` #${to.index}`}`,
      lost.length === 0
        ? '–'
        : lost.map(({ place, cause, frames }) => html`${words(cause)} ${grouped(frames)} (${place})<br />`),
      grouped(offered),
      grouped(copies),
      grouped(arrived),
      grouped(sum(lost.map(({ frames }) => frames))),
      grouped(filteredOut),
      grouped(underWay),
      unaccounted > 0 ? html`<strong class="bad">${grouped(unaccounted)}</strong>` : '0',
      grouped(corrupted),
    ],
  )
  const head = [
    'Direction',
    'Lost where and why',
    'Offered',
    'Copies',
    'Arrived',
    'Lost',
    'Filtered out',
    'Under way',
    'Unaccounted',
    'Corrupted',
  ]
  return html`${table('Balance of every frame', head, rows, 2)}
    <p class="none">
      Offered + copies = arrived + lost + filtered out + under way. Unaccounted is 0 unless something is
      wrong.
    </p>`
}

function wires({ virtual }: RunData): Html | null {
  const rows = virtual.flatMap(({ label, wires, final }) =>
    wires.map(({ wire, counters, notJudged }) => [
      label,
      wire,
      `${Object.entries(counters)
        .map(([name, count]) => `${words(name)} ${grouped(count)}`)
        .join(
          ', ',
        )}${notJudged === undefined ? '' : `; loss not judged: ${notJudged}`}${final ? '' : '; last known'}`,
    ]),
  )
  const breaches = virtual.flatMap(({ label, breaches }) =>
    breaches.map(({ rule, count }) => [label, rule, grouped(count)]),
  )
  return html`${rows.length === 0 ? null : table('What the wires have counted', ['Device', 'Wire', 'Frames'], rows, 3)}${breaches.length === 0 ? null : table('Breaches of the datasheet', ['Device', 'Rule', 'Times'], breaches, 2)}`
}

function surroundings({ devices, system, arguments: words, links }: RunData): Html {
  return html`${
    devices.length === 0
      ? null
      : table(
          'Devices',
          ['Device', 'Model', 'MAC', 'By', 'Link'],
          devices.map(({ label, model, mac, access, linkUp, linkMbit }) => [
            label,
            model,
            mac,
            access,
            linkUp ? (linkMbit > 0 ? `${grouped(linkMbit)} Mbit/s` : 'up') : 'down',
          ]),
          5,
        )
  }
  ${
    links.length === 0
      ? null
      : table(
          'Changes of links',
          ['Device', 'Link', 'At'],
          links.map(({ label, up, elapsed }) => [label, up ? 'up' : 'down', `${elapsed.toFixed(3)} s`]),
          2,
        )
  }
  ${
    words === null
      ? null
      : html`<h3>Command line</h3>
          <pre>ixy-ts ${words.map(shellWord).join(' ')}</pre>`
  }
  ${system === null ? null : html`<p class="none">${system.cpu}, ${system.cpus} CPUs &middot; ${system.kernel} &middot; Node.js ${system.node}</p>`}`
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
