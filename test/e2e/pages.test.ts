/** The pages in a browser: the report of two runs, and the one of stats --listen beside a run. */
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, type Page, chromium } from 'playwright-core'
import { grouped } from '../../src/wording.ts'
import { bps, duration, pps } from '../../src/cli/report/figures.ts'
import { HOSTILE, end, interval, ndjson, start } from '../cli/report/runs.ts'
import { Tool, describeIf, ixy, missing, objects, sh, temporaryDirectory } from './support.ts'

/** Nothing of the browser's own asks the network for anything. */
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
]
/** For what takes seconds on a machine with nothing else to do. */
const DEADLINE = 120_000

interface Direction {
  readonly packets: number
  readonly bytes: number
  readonly packetsPerSecond: number
  readonly bitsPerSecond: number
  readonly peakPacketsPerSecond: number
}

/** Whether what is counted passes `least` in time. */
async function becomesMore(count: () => Promise<number>, least: number): Promise<boolean> {
  const deadline = performance.now() + DEADLINE
  while ((await count()) <= least) {
    if (performance.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return true
}

describeIf(missing({ programs: ['chromium', 'pdftotext'] }), 'pages', () => {
  const folder = temporaryDirectory()
  // Left there for whoever wants to look.
  const pictures = mkdtempSync(path.join(os.tmpdir(), 'ixy-ts-pictures-'))
  let browser: Browser

  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: sh('sh', '-c', 'command -v chromium').trim(),
      args: FLAGS,
    })
  }, DEADLINE)
  afterAll(() => browser?.close(), DEADLINE)

  /** A page, and what went wrong on it: messages, dialogs, and requests for anything but `own`. */
  async function open(url: string, own: string): Promise<{ page: Page; wrong: string[] }> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' })
    const wrong: string[] = []
    page.on('console', (message) => wrong.push(`${message.type()}: ${message.text()}`))
    page.on('pageerror', (error) => wrong.push(String(error)))
    page.on('dialog', (dialog) => {
      wrong.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(own) && request.url() !== 'data:,')
        wrong.push(`request: ${request.url()}`)
    })
    await page.goto(url)
    return { page, wrong }
  }

  /** In both themes and at both ends of what screens are wide: nothing sticks out. */
  async function look(page: Page, name: string): Promise<void> {
    const backgrounds: string[] = []
    for (const [colorScheme, width] of [
      ['light', 1600],
      ['dark', 400],
    ] as const) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 900 })
      await page.screenshot({
        path: path.join(pictures, `${name}-${colorScheme}-${width}.png`),
        fullPage: true,
      })
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
      backgrounds.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
    }
    expect(backgrounds).toEqual(['rgb(255, 255, 255)', 'rgb(20, 23, 26)'])
  }

  test(
    'the report of two runs has their numbers, marks what is worse, and can be used with keys and printed',
    async () => {
      const { stdout } = await ixy(
        ...['pktgen', 'virtual:loop', '--latency', '--rate', '5kpps', '-n', '2000', '-i', '0.05', '--json'],
      )
      const [one, other] = ['before', 'after'].map((name) => path.join(folder, `${name}.ndjson`))
      writeFileSync(one, stdout)
      const [run] = objects(stdout, 'end') as {
        devices: { rx: Direction; tx: Direction }[]
        latencyMicroseconds: { p99: number; p999: number; returned: number }
      }[]
      const slower = {
        ...run,
        devices: [{ ...run.devices[0], tx: { ...run.devices[0].tx, packetsPerSecond: 1000 } }],
      }
      writeFileSync(other, stdout.replace(/^\{"event":"end".*$/m, JSON.stringify(slower)))
      const file = path.join(folder, 'both.html')
      expect(await ixy('report', one, other, '-o', file)).toMatchObject({ code: 0, stdout: '' })

      const url = pathToFileURL(file).href
      const { page, wrong } = await open(url, url)
      const cells = await page
        .locator('section.run')
        .first()
        .locator('table')
        .first()
        .locator('tr')
        .allInnerTexts()
      const [{ rx, tx }] = run.devices
      expect(
        cells.slice(1).map((row) =>
          row
            .split('\t')
            .map((cell) => cell.trim())
            .slice(1, 7),
        ),
      ).toEqual(
        [rx, tx].map((direction, i) => [
          ['RX', 'TX'][i],
          ...[grouped(direction.packets), grouped(direction.bytes), pps(direction.packetsPerSecond)],
          ...[bps(direction.bitsPerSecond), pps(direction.peakPacketsPerSecond)],
        ]),
      )
      const text = await page.locator('main').innerText()
      expect(text).toContain(duration(run.latencyMicroseconds.p99))
      expect(await page.locator('section').first().locator('li').allInnerTexts()).toEqual([
        `after.ndjson: All devices, sent`,
      ])
      expect(await page.locator('td .worse').allInnerTexts()).toEqual([
        expect.stringMatching(/^1\.00 kpps.* ▼ worse/s),
      ])

      const chart = page.locator('section.run').first().locator('figure.chart').first()
      const plot = chart.getByRole('img')
      await plot.focus()
      await page.keyboard.press('End')
      expect(await chart.locator('.at').innerText()).toMatch(/^At [\d.]+ s$/)
      expect(await chart.locator('.value').first().innerText()).toMatch(/pps$/)
      await page.keyboard.press('Tab')
      await page.keyboard.press('Enter')
      expect(await chart.getByRole('button').first().getAttribute('aria-pressed')).toBe('false')
      await chart.getByText('As a table').click()
      expect(await chart.locator('tbody tr').count()).toBeGreaterThan(2)

      await look(page, 'report')
      const pdf = path.join(pictures, 'report.pdf')
      await page.pdf({ path: pdf, format: 'A4' })
      const printed = sh('pdftotext', '-layout', pdf, '-')
      for (const words of [
        'Ended after its count',
        grouped(tx.bytes),
        'Balance of every frame',
        'Round trips',
      ])
        expect(printed).toContain(words)
      expect(wrong).toEqual([])
      await page.close()
    },
    DEADLINE,
  )

  test(
    'a hostile name is text, and without JavaScript all but the charts is there',
    async () => {
      const input = path.join(folder, 'hostile.ndjson')
      writeFileSync(input, ndjson(start(HOSTILE), interval(1, 1, 10, 10, 5), end(1, 10)))
      const file = path.join(folder, 'hostile.html')
      await ixy('report', input, '-o', file)
      const url = pathToFileURL(file).href
      const { page, wrong } = await open(url, url)
      expect(await page.locator('h1').innerText()).toBe(`ixy-ts ${HOSTILE}`)
      expect(await page.locator('figure canvas').count()).toBe(2)
      expect(wrong).toEqual([])
      await page.close()
      const context = await browser.newContext({ javaScriptEnabled: false })
      const plain = await context.newPage()
      await plain.goto(url)
      expect(await plain.locator('tbody').first().innerText()).toContain('RX\t10\t600\t10.00 pps')
      await context.close()
      expect(statSync(file).size).toBeLessThan(200_000)
      expect(readFileSync(file, 'utf8').match(/https?:\/\/(?!www\.w3\.org)/g)).toBeNull()
    },
    DEADLINE,
  )

  test(
    'the live page follows a run to its end, and is paused by a key',
    async () => {
      const env = { IXY_TS_RUNTIME_DIR: path.join(folder, 'run') }
      const server = new Tool(['stats', '--listen', '0', '-i', '0.2'], { env })
      const [, url] = await server.until(/listening on (http:\S+)"/, 'stderr')
      const { page, wrong } = await open(url, url)
      await page.locator('#none').waitFor({ timeout: DEADLINE })
      const run = new Tool(
        [
          'forward',
          'virtual:gen,rate=2kpps,fault=drop=0.1',
          'virtual:sink',
          '--mode',
          'interrupt',
          '--quiet',
        ],
        { env },
      )
      const sent = page.locator('.tile').first().locator('span')
      const packets = async (): Promise<number> => Number((await sent.innerText()).replace(/\D/g, ''))
      await sent.waitFor({ timeout: DEADLINE })
      const first = await packets()
      expect(await becomesMore(packets, first + 500)).toBe(true)
      await page.locator('figure canvas').nth(1).waitFor()
      await look(page, 'live')

      await page.keyboard.press('p')
      expect(await page.getByRole('button', { name: /Pause/ }).getAttribute('aria-pressed')).toBe('true')
      expect(await page.getByRole('status').innerText()).toBe('paused')
      await page.keyboard.press('p')
      await page.locator('figure.chart').first().getByRole('img').focus()
      await page.keyboard.press('ArrowLeft')
      expect(await page.locator('.at').first().innerText()).toMatch(/^At \d\d:\d\d:\d\d$/)

      const { stdout } = await run.kill()
      expect(stdout).toContain('forwarded')
      await page.getByText('It has ended').waitFor({ timeout: DEADLINE })
      expect(wrong).toEqual([])
      expect((await server.kill()).code).toBe(0)
      await page.close()
    },
    DEADLINE,
  )
})
