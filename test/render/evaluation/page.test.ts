import {DOMParser} from '@xmldom/xmldom'
import {describe, expect, it} from 'vitest'
import {runFigure} from '../../../src/render/evaluation/figure.ts'
import {runPage} from '../../../src/render/evaluation/page.ts'
import {family, madeRun, row, run, sample, stream} from '../../support/made-run.ts'

const page = runPage(madeRun())
const count = (text: string, what: RegExp): number => (text.match(what) ?? []).length

describe('the page of a run', () => {
  it('has no script, and asks for nothing', () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|\bon\w+="|javascript:|@import|url\(["']?(?!#)/i)
    expect(page).not.toMatch(/(?:src|href)="/)
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  it('shows every row in both tables and in each chart, and each migration that counts once a chart', () => {
    const {rows} = madeRun()
    for (const {id, title} of rows) {
      expect(count(page, new RegExp(`<small>${id.replaceAll('.', '\\.')}</small></th>`, 'g'))).toBe(3)
      expect(count(page, new RegExp(`<span class="label">${title}</span>`, 'g'))).toBe(3)
    }
    // 69 that count in two charts, and the three of the key of each; the third chart's key has one.
    expect(count(page, /<path class="dot /g)).toBe(2 * (69 + 3))
    expect(count(page, /<path class="down" d="M-?\d/g)).toBe(69 + 1)
  })

  it('marks the claims of the paper, and leaves what was not tried without a mark', () => {
    expect(count(page, /class="mark refined">≈ refined/g)).toBe(3)
    expect(count(page, /class="mark refuted">✗ refuted/g)).toBe(1)
    expect(count(page, /class="mark none">– not tried/g)).toBe(1)
    expect(count(runPage(run([row({id: 'nothing', kind: 'control'})])), /class="mark none">– not tried/g)).toBe(5)
  })

  it('draws an echo that was lost after the first that came back apart from those before', () => {
    const near = stream({lostAtMs: [-50, 900, -100], lostAfter: 1})
    const one = runPage(run([row({id: 'arp.x', samples: [sample({ipv4: family({near})})]})]))
    const ticks = (style: string): number =>
      [...one.matchAll(new RegExp(`<path class="lost ${style}" d="((?:M[\\d.]+ \\d+v\\d+)+)"`, 'g'))]
        .map(([, path]) => count(path!, /M/g))
        .reduce((sum, n) => sum + n, 0)
    // Two more of each are in the key.
    expect([ticks('near'), ticks('after'), ticks('far')]).toEqual([2 + 2, 1 + 2, 0 + 2])
    expect(one).toContain('3, 1 of them after the first back')
  })

  it('says where the numbers come from, and what is void', () => {
    for (const word of [
      '7.2.22',
      '6.1.0-44-cloud-amd64',
      'order by seed 1',
      'arp.command, round 3: the guest&#39;s counter jumped',
    ])
      expect(page.replaceAll("'", '&#39;')).toContain(word)
  })

  it('is steered by nothing that a row says', () => {
    const evil = runPage(run([row({id: 'arp.x', title: '</td><script>alert(1)</script>', how: '"><i>'})]))
    expect(evil).not.toMatch(/<script|"><i>/)
    expect(evil).toContain('&lt;script&gt;')
  })

  it('has no number where nothing was measured', () => {
    const empty = runPage(run([row({id: 'nothing', kind: 'control', samples: []}), row({id: 'arp.x', samples: []})]))
    expect(empty).not.toMatch(/NaN|Infinity|undefined|null/)
    expect(runPage(run([]))).not.toMatch(/NaN|Infinity|undefined|null/)
    expect(page).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('keeps its charts within their width whatever was lost when', () => {
    const late = stream({lostAtMs: [-120, 10, 30_000], lostAfter: 1})
    const long = runPage(run([row({id: 'arp.x', samples: [sample({ipv4: family({near: late, toFirstMs: 0})})]})]))
    const places = [...long.matchAll(/\b(?:x|x1|cx)="([\d.-]+)%"/g)].map(([, place]) => Number(place))
    expect(places.length).toBeGreaterThan(20)
    expect(places.filter((place) => !(place >= 0 && place <= 100))).toEqual([])
  })
})

describe('the figure of a run', () => {
  const figure = (of = madeRun()): string => runFigure(of)

  it('is well-formed, with a row each, and a dot for each migration that counts', () => {
    const document = new DOMParser().parseFromString(figure(), 'image/svg+xml')
    const labels = [...document.getElementsByTagName('text')].filter((each) => each.getAttribute('class') === 'label')
    expect(labels.map((each) => each.textContent)).toEqual(madeRun().rows.map(({title}) => title))
    // And an estimate for each of the twelve that have a control, and the three of the key.
    expect(count(figure(), /<path class="dot /g)).toBe(69 + 12 + 3)
    expect(figure()).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('is in light and dark, and takes nothing from elsewhere', () => {
    expect(figure()).toContain('@media (prefers-color-scheme: dark)')
    expect(figure().replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(/https?:|<image|<script/)
  })

  it('says that a row is not compared where it is not', () => {
    expect(figure(run([row({id: 'arp.x'})]))).toContain('not compared')
  })
})
