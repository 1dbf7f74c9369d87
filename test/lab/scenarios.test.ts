// Every situation under scenarios/, staged on real packets by the command that anybody stages one with.
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, it} from 'vitest'
import {down} from '../../src/lab/lab.ts'
import {parseScenario} from '../../src/lab/scenario-file.ts'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces, withPrefix} from '../support/namespaces.ts'

const FOLDER = join(import.meta.dirname, 'scenarios')
const files = readdirSync(FOLDER).sort()

describe.skipIf(noNamespaces).concurrent('a scenario', () => {
  it.each(files)(
    '%s',
    async (file) => {
      await withPrefix(
        (prefix) => down(prefix).then(() => {}),
        async (prefix) => {
          const {code, stdout, stderr} = await gwswitch(['lab', 'scenario', join(FOLDER, file), '--prefix', prefix])
          expect(stdout + stderr).toMatch(/^ok /)
          expect(code).toBe(0)
        },
      )
    },
    120_000,
  )
})

describe('a scenario file', () => {
  const read = (text: string) => () => parseScenario(text, 's.yaml')
  const GOOD = 'title: t\nexpect: {code: 10}\n'

  it('is as short as it can be', () => {
    expect(read(GOOD)()).toMatchObject({
      vm: {site: 'y', gateway: 'rx'},
      inventory: {dciRttMs: 20},
      trace: ['203.0.113.10'],
      expect: {code: [10], flags: []},
    })
  })

  it('lets what no rule is about pass at once', () => {
    const {wires} = read(`${GOOD}wires: {core-y: [{match: tcp, loss: 1}]}`)()
    expect(wires['core-y']).toMatchObject([
      {match: 'tcp', loss: 1},
      {match: 'any', delay: 0, loss: 0},
    ])
  })

  it.each([
    ['no verdict', 'title: t\n', /^s\.yaml:\d+:\d+: expect /],
    ['a key that is none', `${GOOD}vm: {sight: x}`, /^s\.yaml:3:6: vm Unrecognized key: "sight"/],
    ['a wire that is none', `${GOOD}wires: {lan: {delay: 1}}`, /^s\.yaml:3:/],
    ['a reason that is none', 'title: t\nexpect: {code: 10, reason: because}\n', /^s\.yaml:2:/],
    ['a share of more than all', `${GOOD}wires: {dci: {loss: 2}}`, /^s\.yaml:3:/],
    ['no YAML', '{', /^s\.yaml:1:2: not YAML/],
  ])('is refused for %s', (_, text, message) => {
    expect(read(text)).toThrow(message)
    expect(read(text)).toThrow(expect.objectContaining({kind: 'usage'}))
  })

  it('is each of those that are shipped', () => {
    expect(files.length).toBeGreaterThan(15)
    for (const file of files) expect(() => parseScenario(readFileSync(join(FOLDER, file), 'utf8'), file)).not.toThrow()
  })
})
