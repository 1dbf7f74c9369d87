import displayWidth from 'string-width'
import {describe, expect, it} from 'vitest'
import {spreadText} from '../../../src/render/evaluation/cells.ts'
import {mainMarkdown, runMarkdown, runText} from '../../../src/render/evaluation/tables.ts'
import {family, madeRun, row, run, sample} from '../../support/made-run.ts'

/** The cells of a row of a Markdown table by their heads. */
function cells(lines: readonly string[], title: string): Readonly<Record<string, string>> {
  const split = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  const head = split(lines.find((line) => line.startsWith('| row'))!)
  const found = split(lines.find((line) => line.startsWith(`| ${title} |`))!)
  return Object.fromEntries(head.map((name, i) => [name, found[i]!]))
}

describe('a number of a run', () => {
  it.each([
    [{n: 3, median: 50.6, lo: 40.2, hi: 58.4}, '51 [40–58]'],
    [{n: 3, median: 0.62, lo: 0.4, hi: 9.96}, '0.6 [0.4–10]'],
    [{n: 3, median: 0, lo: 0, hi: 0}, '0'],
    [{n: 3, median: 500, lo: 40, hi: null}, '500 [40–never]'],
    [{n: 3, median: null, lo: null, hi: null}, 'never'],
    [{n: 3, median: null, lo: 40, hi: null}, 'never [40–never]'],
    [{n: 1, median: -4.25, lo: -4.25, hi: -4.25}, '−4.3'],
    [null, '–'],
  ])('%j is %s', (spread, text) => {
    expect(spreadText(spread)).toBe(text)
  })
})

describe('the table of a run', () => {
  it('in Markdown has what was measured, and never a number that was not', () => {
    const unasked = sample({downtimeMs: null, unreachable: null, ipv4: family({toFirstMs: null, trombone: 900})})
    const bare = run([
      row({id: 'nothing', kind: 'control', samples: [unasked]}),
      row({id: 'arp.x', samples: [unasked, sample({void: 'jumped'})]}),
      row({id: 'arp.y', samples: []}),
    ])
    const lines = mainMarkdown(bare)
    expect(cells(lines, 'arp.x')).toEqual({
      ...{row: 'arp.x', n: '1 +1', 'first packet': 'never', trombone: '900', lost: '0, 0'},
      ...{'gap near': '150', 'gap far': '150', 'gap to control': 'too few', 'TCP plain': '1/1'},
    })
    expect(cells(lines, 'nothing')).toMatchObject({'gap to control': 'control'})
    expect(new Set(Object.values(cells(lines, 'arp.y')).slice(2))).toEqual(new Set(['–']))
    expect(runMarkdown(bare).join('\n')).not.toMatch(/NaN|Infinity|null|undefined/)
  })

  it('has a column of what at least one row has, and says what did not run', () => {
    const lines = runMarkdown(madeRun())
    expect(cells(lines, 'arp, switch --before-resume')).toMatchObject({
      ...{n: '5', lost: '0, 0', 'TCP plain': '5/5', 'TCP NAT': '0/5'},
      'gap to control': expect.stringMatching(/^[+−]\d+(?:\.\d)? \[[+−]\d+(?:\.\d)? to [+−]\d+(?:\.\d)?\]$/),
    })
    expect(lines).toContain('arp.service.libvirt did not run: libvirtd is not here')
    expect(lines.join('\n')).toContain('IPv6 trombone')
    expect(runMarkdown(run([row({id: 'arp.x'})])).join('\n')).not.toMatch(/\| IPv6 first|\| TCP NAT/)
  })

  it('is not broken by what a row is called', () => {
    const titled = run([row({id: 'arp.x', title: 'a | b\nc'})])
    expect(mainMarkdown(titled).find((line) => line.includes('a \\| b c'))).toMatch(/^\| a \\\| b c \| 5 \|/)
  })

  it.each([80, 100, 120])('as text fits %i columns, and says of each row what can be told apart', (width) => {
    const lines = runText(madeRun(), width)
    expect(lines.filter((line) => displayWidth(line) > width)).toEqual([])
    for (const {id} of madeRun().rows)
      expect(lines.filter((line) => line.startsWith(`${id} `)).length).toBeGreaterThan(3)
    const text = lines.join(' ').replaceAll(/\s+/g, ' ')
    expect(text).toMatch(
      /agent\.qga: agent, notify-agent by qga Lost .* is not told apart from the control's: −\d+ to \+\d+ ms/,
    )
    expect(text).toContain("Void, and left out: 1 of 5 (the guest's counter jumped).")
  })
})
