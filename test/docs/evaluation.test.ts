// What is made of the run that is checked in is what the script makes of it.
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {checkedIn, evaluationFiles, withBlock} from '../../scripts/docs/evaluation.ts'
import {root} from '../../scripts/docs/reference.ts'
import {measuredBy} from '../../src/domain/evaluation/measured.ts'
import {madeRun, row, run, sample} from '../support/made-run.ts'

const files = await checkedIn()

describe('the evaluation', () => {
  it.each([...files])('%s is made of the run that is checked in', (path, text) => {
    const there = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : ''
    expect(text, 'run `npm run docs -- evaluation`').toBe(there)
  })

  it('has nothing beside it that a run no longer makes', () => {
    const known = [...files.keys()].map((path) => path.replace('docs/evaluation/', ''))
    expect(readdirSync(join(root, 'docs/evaluation')).filter((name) => !known.includes(name))).toEqual([])
  })

  it('puts table and figure of a run into the README and into its own page, and its medians into the program', async () => {
    const made = await evaluationFiles(madeRun())
    for (const [path, folder] of [
      ['README.md', 'docs/evaluation'],
      ['docs/evaluation/README.md', '.'],
    ] as const) {
      const text = made.get(path)!
      expect(text).toContain('\n| arp, switch --before-resume | 5 | ')
      expect(text).toContain(`](${folder}/figure.svg)`)
    }
    expect(made.get('src/strategies/measured.ts')).toContain('"row": "arp.before-resume"')
    expect([...made.keys()].sort()).toEqual(
      [
        ...['README.md', 'src/strategies/measured.ts'],
        ...['README.md', 'figure.svg', 'lab-run.json', 'report.html', 'table.md', 'table.txt'].map(
          (name) => `docs/evaluation/${name}`,
        ),
      ].sort(),
    )
  })

  it('replaces what stands between the marks, and nothing else', () => {
    const page = readFileSync(join(root, 'README.md'), 'utf8')
    expect(withBlock(withBlock(page, ['a', '| b |']), [])).toBe(withBlock(page, []))
    expect(withBlock(page, ['a'])).toMatch(/<!-- evaluation: .* -->\n\na\n\n<!-- \/evaluation -->/)
    expect(() => withBlock('a page', [])).toThrow('needs both marks')
  })
})

describe('what was measured of a strategy', () => {
  it('is of our own rows that have a migration that counts, with its origin', () => {
    const measured = measuredBy(madeRun(), 'docs/evaluation')
    expect(Object.keys(measured)).toEqual(['arp', 'mac-proxy', 'dhcp', 'agent'])
    expect(measured.arp).toMatchObject({
      ...{source: 'docs/evaluation', at: '2026-01-02T03:15:00.000Z', gwswitch: '0.1.0', vm: 'qemu'},
      forms: [{row: 'arp.command', migrations: 4, alive: {n: 4, of: 4}}, {row: 'arp.before-resume'}, {}],
    })
    expect(measuredBy(run([row({id: 'arp.x', samples: [sample({void: 'jumped'})]})]), '')).toEqual({})
    expect(measuredBy(run([row({id: 'arping.x', kind: 'other'})]), '')).toEqual({})
  })
})
