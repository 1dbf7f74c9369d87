// Looks at the site in a headless Chromium, at the width of a desk and of a telephone: from the index to every page that
// links lead to. Wrong is a link or an anchor that leads nowhere, a page that no link leads to, whatever the browser's console
// calls an error, anything asked of another place, a picture that does not show, and a page wider than the screen.
import {existsSync, globSync, mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join, relative} from 'node:path'
import {fileURLToPath, pathToFileURL} from 'node:url'
import {writeReport} from '../../src/orders/evaluation/write-report.ts'
import {madeRun} from '../../test/support/made-run.ts'
import {root} from './reference.ts'
import {SITE} from './site.ts'

const WIDTHS = [1280, 390]
const PUPPETEER = join(root, 'tools/docs/node_modules/puppeteer-core/lib/puppeteer/puppeteer-core.js')
/** Where Debian has it. */
const CHROMIUM = '/usr/bin/chromium'

/** What is used of puppeteer 25. */
interface Page {
  on(event: string, listener: (what: Noted) => void): void
  setViewport(size: {width: number; height: number}): Promise<void>
  emulateMediaFeatures(features: readonly {name: string; value: string}[]): Promise<void>
  goto(url: string): Promise<unknown>
  evaluate<T>(script: string): Promise<T>
}
interface Noted {
  readonly message?: string
  type?(): string
  text?(): string
  url?(): string
}
interface Browser {
  newPage(): Promise<Page>
  close(): Promise<void>
}

/** What a page is, once it is shown. */
interface Shown {
  readonly ids: readonly string[]
  readonly links: readonly string[]
  readonly blank: readonly string[]
  readonly wider: number
}
const SHOWN = `({
  ids: [...document.querySelectorAll('[id]')].map((e) => e.id),
  links: [...document.querySelectorAll('a[href]')].map((e) => e.href),
  blank: [...document.images].filter((e) => !e.naturalWidth).map((e) => e.src),
  wider: document.documentElement.scrollWidth - innerWidth,
})`

/** What is wrong, a line each. */
export async function checkSite(): Promise<readonly string[]> {
  return inBrowser(async (browser) => {
    const wrong: string[] = []
    for (const width of WIDTHS) wrong.push(...(await crawl(await browser.newPage(), width)))
    return wrong
  })
}

async function inBrowser<T>(look: (browser: Browser) => Promise<T>): Promise<T> {
  const {default: puppeteer} = (await import(PUPPETEER)) as {
    default: {launch(options: object): Promise<Browser>}
  }
  // As root there is no sandbox; what is shown is our own.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--allow-file-access-from-files']
  const browser = await puppeteer.launch({executablePath: CHROMIUM, args})
  try {
    return await look(browser)
  } finally {
    await browser.close()
  }
}

/** The same of the page of a run, which is made up: narrower still, in light and dark, and nothing in it beyond its edge. */
export async function checkReport(): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gwswitch-report-'))
  try {
    await writeReport(folder, madeRun())
    const url = pathToFileURL(join(folder, 'report.html')).href
    return await inBrowser(async (browser) => {
      const wrong: string[] = []
      for (const width of REPORT_WIDTHS)
        for (const scheme of ['light', 'dark']) {
          const page = await browser.newPage()
          const note = (what: string): number => wrong.push(`report.html at ${width}, ${scheme}: ${what}`)
          listen(page, note)
          await page.setViewport({width, height: 900})
          await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}])
          await page.goto(url)
          for (const what of await page.evaluate<readonly string[]>(BEYOND)) note(what)
        }
      return wrong
    })
  } finally {
    rmSync(folder, {recursive: true, force: true})
  }
}
const REPORT_WIDTHS = [1280, 360]
/** What is wider than the screen, letters that run out of what they stand in, and colours that are too much alike. */
const BEYOND = `(() => {
  const wide = document.documentElement.scrollWidth - innerWidth
  const out = [...document.querySelectorAll('body *')].filter((e) => {
    const {left, right, width} = e.getBoundingClientRect()
    return width > 0 && !e.closest('svg svg') && (left < -1 || right > innerWidth + 1)
  })
  const bright = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = bright(getComputedStyle(document.body).backgroundColor)
  const pale = [...document.querySelectorAll('p, td, th, dt, dd, span, small, li')].filter((e) => {
    const ink = bright(getComputedStyle(e).color)
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05) < 4.5
  })
  const name = (e) => e.tagName + ' ' + (e.textContent || '').slice(0, 40)
  return [
    ...(wide > 0 ? [wide + ' px wider than the screen'] : []),
    ...out.map((e) => 'beyond the edge: ' + name(e)),
    ...pale.map((e) => 'contrast below 4.5 (WCAG 2.2, 1.4.3): ' + name(e)),
  ]
})()`

const nameOf = (url: string): string => relative(SITE, fileURLToPath(url.split('#')[0]!))

/** Notes what the browser says against a page, and whatever it asks of another place. */
function listen(page: Page, note: (what: string) => void): void {
  page.on('console', (message) => message.type?.() === 'error' && note(`console: ${message.text?.()}`))
  page.on('pageerror', ({message}) => note(`script: ${message}`))
  page.on('requestfailed', (request) => note(`not loaded: ${request.url?.()}`))
  page.on('request', (request) => {
    if (!/^(?:file|data):/.test(request.url!())) note(`asks elsewhere: ${request.url!()}`)
  })
}

async function crawl(page: Page, width: number): Promise<readonly string[]> {
  const wrong: string[] = []
  let at = ''
  const note = (what: string): number => wrong.push(`${at} at ${width}: ${what}`)
  listen(page, note)
  await page.setViewport({width, height: 900})
  const shown = new Map<string, Shown>()
  const queue = [pathToFileURL(join(SITE, 'index.html')).href]
  for (let url = queue.shift(); url !== undefined; url = queue.shift()) {
    at = nameOf(url)
    await page.goto(url)
    const seen = await page.evaluate<Shown>(SHOWN)
    shown.set(at, seen)
    for (const picture of seen.blank) note(`shows no ${picture}`)
    if (seen.wider > 0) note(`${seen.wider} px wider than the screen`)
    for (const link of seen.links) {
      const to = link.split('#')[0]!
      const isNew = to.startsWith('file:') && to.endsWith('.html') && !shown.has(nameOf(to)) && !queue.includes(to)
      if (isNew && existsSync(fileURLToPath(to))) queue.push(to)
    }
  }
  return [...wrong, ...brokenLinks(shown, width)]
}

function brokenLinks(shown: ReadonlyMap<string, Shown>, width: number): readonly string[] {
  const files = new Set(globSync('**/*', {cwd: SITE}))
  const broken = [...shown].flatMap(([from, {links}]) =>
    links
      .filter((link) => {
        if (!link.startsWith('file:')) return false
        const [to, anchor] = [nameOf(link), decodeURIComponent(link.split('#')[1] ?? '')]
        return !files.has(to) || (anchor !== '' && !shown.get(to)?.ids.includes(anchor))
      })
      .map((link) => `${from} at ${width}: leads nowhere: ${link}`),
  )
  const lost = [...files].filter((file) => file.endsWith('.html') && !shown.has(file))
  return [...broken, ...lost.map((file) => `${file} at ${width}: no link leads there`)]
}
