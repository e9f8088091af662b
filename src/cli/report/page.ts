/** The report as one HTML file: the template that build.mjs has made, with the runs in it. */
import { readFileSync } from 'node:fs'
import { bundle } from '../../bundles.ts'
import { VERSION } from '../../version.ts'
import { comparison } from './comparison.ts'
import { html, jsonBlock } from './html.ts'
import type { RunData } from './model.ts'
import { runSection } from './run-section.ts'

/** A share: what is worse by more is marked, unless the user says otherwise. */
export const TOLERANCE = 0.05

/** `tolerance`: a share; what is worse by more is marked. */
export function reportPage(runs: readonly RunData[], tolerance: number): string {
  const title = runs.length === 1 ? `ixy-ts ${runs[0].command}` : `${runs.length} runs of ixy-ts`
  const body = html`<main>
      <h1>${title}</h1>
      ${runs.length > 1 ? comparison(runs, tolerance) : null}${runs.map((run, place) => runSection(run, place, runs.length === 1))}
    </main>
    <footer>Made by ixy-ts ${VERSION}, ${new Date().toISOString().slice(0, 19).replace('T', ' ')} UTC</footer>
    ${jsonBlock('runs', runs)}`
  return readFileSync(bundle('report.html'), 'utf8')
    .split('<!--title-->')
    .join(html`${title}`.text)
    .split('<!--body-->')
    .join(body.text)
}
