// `switch` of many VMs by their agents, which one process plays: signed messages to 200 at a time.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import type {ManyRow} from '../../src/orders/switch/many-rows.ts'
import {gwswitch} from '../support/cli.ts'
import {BY, withManySegment} from '../support/many-segment.ts'
import {noNamespaces} from '../support/namespaces.ts'

const directory = mkdtempSync(join(tmpdir(), 'gwswitch-many-agents-'))
afterAll(() => rmSync(directory, {recursive: true}))

describe.skipIf(noNamespaces)('switch of many VMs by agent', () => {
  it('tells the agents of 200 at a time, and proves each by where it sends', {timeout: 120_000}, () =>
    withManySegment(
      200,
      () => 'agent',
      async (segment) => {
        const file = join(directory, 'gwswitch.yaml')
        writeFileSync(file, segment.inventory)
        const argv = ['switch', '--segment', 'own', '--to', 'y', '-f', file, '--json']
        const {json, code} = await gwswitch(argv, {namespace: segment.namespace})
        expect((json.rows as ManyRow[]).filter((row) => row.strategy !== 'agent' || row.code !== 'served')).toEqual([])
        expect(new Set((await segment.gateways()).values())).toEqual(new Set([BY]))
        expect(code).toBe(0)
      },
    ),
  )
})
