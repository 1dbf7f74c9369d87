import {describe, expect, it} from 'vitest'
import {outputOf, siteLink, sitePages} from '../../scripts/docs/site-pages.ts'
import {terminalSvg} from '../../scripts/docs/terminal-svg.ts'

describe('a page of the site', () => {
  it.each([
    ['docs/trace.md', 'trace.html'],
    ['docs/README.md', 'index.html'],
    ['docs/decisions/0001-koffi-for-raw-frames.md', 'decisions/0001-koffi-for-raw-frames.html'],
    ['README.md', 'overview.html'],
    ['schemas/trace.json', undefined],
  ])('%s is %s', (path, output) => {
    expect(outputOf(path)).toBe(output)
  })

  it.each([
    ['docs/trace.md', 'proof.md#codes', 'proof.html#codes'],
    ['docs/trace.md', '#reasons', '#reasons'],
    ['docs/trace.md', '../README.md#exit-codes', 'overview.html#exit-codes'],
    ['README.md', 'docs/README.md', 'index.html'],
    ['docs/reference/json.md', '../trace.md', '../trace.html'],
    ['docs/README.md', 'decisions', 'decisions/index.html'],
    ['docs/trace.md', 'https://www.rfc-editor.org/rfc/rfc826', 'https://www.rfc-editor.org/rfc/rfc826'],
  ])('%s links to %s as %s', (from, target, link) => {
    expect(siteLink(from, target, () => expect.unreachable())).toBe(link)
  })

  it('keeps what is no page at its place in the repository, and says that it is wanted', () => {
    const wanted: string[] = []
    expect(siteLink('docs/trace.md', '../schemas/trace.json', (path) => wanted.push(path))).toBe(
      'files/schemas/trace.json',
    )
    expect(wanted).toEqual(['schemas/trace.json'])
  })

  it('has a place of its own', () => {
    const outputs = sitePages().map(outputOf)
    expect(new Set(outputs).size).toBe(outputs.length)
  })
})

describe('a picture of a terminal', () => {
  const svg = (output: string, columns = 20): string => terminalSvg('gwswitch who', output, columns)
  const shown = (picture: string): string[] =>
    [...picture.matchAll(/<text[^>]*>(.*)<\/text>/g)].map(([, row]) => row!.replaceAll('\u00a0', ' '))

  it('has the command, and what was written with its colours', () => {
    expect(shown(svg('\u001b[31m\u001b[1mTROMBONE\u001b[22m\u001b[39m a<b\r\n\u001b[2mdim\u001b[22m\r\n'))).toEqual([
      '<tspan fill="#8b949e">$ </tspan><tspan font-weight="bold">gwswitch who</tspan>',
      '<tspan fill="#ff7b72" font-weight="bold">TROMBONE</tspan> a&lt;b',
      '<tspan fill="#8b949e">dim</tspan>',
    ])
  })

  it('breaks lines at its edge, and keeps columns under each other', () => {
    const picture = svg('0123456789abc\n', 10)
    expect(shown(picture).slice(1)).toEqual(['0123456789', 'abc'])
    expect(picture).toContain('textLength="84.0">0123456789<')
  })
})
