import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, it} from 'vitest'
import {readRun} from '../../../src/orders/evaluation/run-shape.ts'
import {writeReport} from '../../../src/orders/evaluation/write-report.ts'
import {gwswitch} from '../../support/cli.ts'
import {madeRun, row, run, sample} from '../../support/made-run.ts'
import {complaints} from '../../support/schemas.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-report-'))
const at = (...path: readonly string[]): string => join(scratch, ...path)
afterAll(() => rmSync(scratch, {recursive: true, force: true}))
beforeAll(async () => {
  await writeReport(at('first'), madeRun())
})

const NAMES = ['figure.svg', 'lab-run.json', 'report.html', 'table.md', 'table.txt']
const inFolder = (folder: string): readonly string[] => NAMES.map((name) => readFileSync(at(folder, name), 'utf8'))

describe('the report of a run', () => {
  it('is five files, of which one is the run by its schema', () => {
    expect(readdirSync(at('first')).sort()).toEqual(NAMES)
    const json = readFileSync(at('first/lab-run.json'), 'utf8')
    expect(complaints(JSON.parse(json))).toEqual([])
    expect(JSON.parse(json)).toMatchObject(JSON.parse(JSON.stringify(madeRun())))
    expect(json).toMatch(/"lostAtMs": \[[-\d., ]+\],\n/)
  })

  it('is the same again when it is made from its own file', async () => {
    await writeReport(at('second'), readRun(at('first/lab-run.json')))
    expect(inFolder('second')).toEqual(inFolder('first'))
  })

  it('cannot be written where a file is in the way', async () => {
    writeFileSync(at('file'), '')
    await expect(writeReport(at('file'), madeRun())).rejects.toThrow(/file.*cannot be written: EEXIST|ENOTDIR/)
  })
})

describe('a file that is no run', () => {
  const good = run([row({id: 'arp.x', samples: [sample()]})])
  const [one] = good.rows
  it.each<[string, unknown, RegExp]>([
    ['no JSON', '{', /^\S+: is no JSON, and so no run$/],
    ['a list', [], /is no run of lab run: is no object$/],
    ['another document', {schema: 'gwswitch.trace/2'}, /is no run of lab run: schema is none of gwswitch\.lab-run\/1$/],
    ['another version', {...good, schema: 'gwswitch.lab-run/2'}, /schema is none of/],
    ['short of its rows', {...good, rows: undefined}, /rows is no list$/],
    [
      'with a sample that says no gap',
      {...good, rows: [{...one, samples: [{...sample(), ipv4: {toFirstMs: 1, trombone: 2, near: {}}}]}]},
      /rows\[0\]\.samples\[0\]\.ipv4\.near\.sent is no number$/,
    ],
    [
      'with a kind that is none',
      {...good, rows: [{...one, kind: 'own'}]},
      /rows\[0\]\.kind is none of control, gwswitch, other$/,
    ],
    [
      'with a time as text',
      {...good, rows: [{...one, samples: [sample({downtimeMs: '1' as never})]}]},
      /downtimeMs is no number/,
    ],
    ['with one load', {...good, provenance: {...good.provenance, load: [1]}}, /provenance\.load is no pair$/],
    [
      'with a version that is none',
      {...good, provenance: {...good.provenance, parts: {QEMU: 7}}},
      /parts\.QEMU is no text$/,
    ],
  ])('%s is refused in one line that says where', (name, document, message) => {
    const file = at(`${name.replaceAll(' ', '-')}.json`)
    writeFileSync(file, typeof document === 'string' ? document : JSON.stringify(document))
    expect(() => readRun(file)).toThrow(message)
  })

  it('is exit 2 of lab report, as one that is not there is', async () => {
    const {code, stderr} = await gwswitch(['lab', 'report', at('none.json')])
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^gwswitch: \S+none\.json: no such file \(what `lab run` wrote\)\n$/),
    ])
  })
})

describe('lab report', () => {
  it('prints the tables, and writes nothing', async () => {
    const {code, stdout} = await gwswitch(['lab', 'report', at('first/lab-run.json')])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ROW +N +DOWNTIME +FIRST PACKET/m)
    expect(stdout).toContain('What the repetitions can tell apart')
  })

  it('writes the report again with --report, and says which files', async () => {
    const {code, json} = await gwswitch(['lab', 'report', at('first/lab-run.json'), '--report', at('third'), '--json'])
    expect(code).toBe(0)
    expect(json).toMatchObject({schema: 'gwswitch.lab-report/1', rows: 14, migrations: 69})
    expect(json.files.every((file: string) => existsSync(file))).toBe(true)
    expect(inFolder('third')).toEqual(inFolder('first'))
  })
})
