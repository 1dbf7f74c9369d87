// What `gwswitch switch --audit` leaves behind, by every way that a switch can go.
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {gwswitch} from '../support/cli.ts'
import {noNamespaces} from '../support/namespaces.ts'
import {withSegmentLab} from '../support/segment-lab.ts'
import {switchIn} from './proof-switch.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-switch-audit-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const linesOf = (file: string): Record<string, string>[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>)

describe.skipIf(noNamespaces)('the record of a switch', () => {
  it.each([
    ['arp', 'port'],
    ['mac-proxy', 'bridge'],
  ] as const)(
    'has that it was ordered, and how it ended; of its guard, what that put back (%s)',
    async (strategy, at) => {
      await withSegmentLab({}, async (lab) => {
        const audit = join(scratch, strategy, 'audit.jsonl')
        const dry = await switchIn(lab, {strategy, at, flags: ['--dry-run', '--audit', audit]})
        expect(dry.exit).toBe(0)
        expect(existsSync(audit)).toBe(false)

        const {json, exit, stderr} = await switchIn(lab, {strategy, at, flags: ['--audit', audit]})
        expect([exit, stderr]).toEqual([0, ''])
        const common = {GWSWITCH_VM: 'db-03', GWSWITCH_STRATEGY: strategy, SYSLOG_IDENTIFIER: 'gwswitch', _UID: '0'}
        const [ordered, ended] = linesOf(audit)
        expect(ordered).toMatchObject({...common, GWSWITCH_EVENT: 'order', GWSWITCH_TO: json.to.name})
        expect(ended).toMatchObject({
          ...{...common, GWSWITCH_EVENT: 'switch', GWSWITCH_OUTCOME: 'switched', GWSWITCH_CODE: 'served'},
          ...{GWSWITCH_FROM: json.before!.name, GWSWITCH_USES: json.to.name, GWSWITCH_EXIT: '0', PRIORITY: '5'},
        })
        expect(Number(ended!.__REALTIME_TIMESTAMP)).toBeGreaterThan(Number(ordered!.__REALTIME_TIMESTAMP))

        // As if the process had been killed: its guard finds the pipe closed, and puts back what it was handed.
        const order = {strategy, plan: json.plan, vm: 'db-03', audit}
        const input = `${JSON.stringify({id: 1, deadlineMs: 60_000, order})}\n`
        const guard = await gwswitch(['guard'], {namespace: lab.ns('sw'), input})
        expect(guard.code).toBe(0)
        expect(linesOf(audit).slice(2)).toEqual([
          expect.objectContaining({
            ...{GWSWITCH_EVENT: 'guard', GWSWITCH_VM: 'db-03', GWSWITCH_OUTCOME: 'rolled_back', PRIORITY: '4'},
            MESSAGE: expect.stringMatching(/^the switch of db-03 was cut short; rolled back: /),
          }),
        ])
      })
    },
  )

  it('that cannot be written is a warning, and keeps nothing from being done', async () => {
    await withSegmentLab({}, async (lab) => {
      const {exit, stderr} = await switchIn(lab, {flags: ['--audit', '/proc/audit.jsonl']})
      expect(exit).toBe(0)
      expect(stderr).toMatch(/^gwswitch: warning: audit log not written: .*\n$/)
    })
  })
})
