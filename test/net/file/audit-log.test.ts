import {existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, it} from 'vitest'
import {auditLog} from '../../../src/net/file/audit-log.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-audit-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const entries = (path: string): Record<string, string>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>)

it('what happens is a line each, in the field names of the journal, for its owner alone', () => {
  const path = join(scratch, 'deep/audit.jsonl')
  const write = auditLog(path, 'gwswitch-agent', (error) => expect.unreachable(error.message))
  write({event: 'start', message: 'started'})
  write({
    event: 'key',
    message: 'an \u001b[31mevil\n name',
    priority: 4,
    fields: {kid: 'site-y', seq: 7, reason: undefined},
  })
  const [first, second] = entries(path)
  expect(first).toMatchObject({
    MESSAGE: 'started',
    PRIORITY: '6',
    SYSLOG_IDENTIFIER: 'gwswitch-agent',
    GWSWITCH_EVENT: 'start',
  })
  expect(Math.abs(Number(first!.__REALTIME_TIMESTAMP) / 1000 - Date.now())).toBeLessThan(3_600_000)
  expect(second).toMatchObject({PRIORITY: '4', GWSWITCH_KID: 'site-y', GWSWITCH_SEQ: '7'})
  expect(Object.keys({...first, ...second}).every((name) => /^[A-Z_]+$/.test(name))).toBe(true)
  expect(Object.values(second!).every((value) => typeof value === 'string')).toBe(true)
  expect(second).not.toHaveProperty('GWSWITCH_REASON')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it looks for
  expect(readFileSync(path, 'utf8')).not.toMatch(/[\u0000-\u0009\u001b]/)
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

it('goes on in a new file where one is full, and keeps four older ones', () => {
  const path = join(scratch, 'full.jsonl')
  const write = auditLog(path, 'x', (error) => expect.unreachable(error.message))
  for (let i = 0; i < 7; i++) {
    write({event: 'e', message: `${i}`})
    // As long as a full one, without its lines.
    truncateSync(path, 4 << 20)
  }
  write({event: 'e', message: 'last'})
  expect(entries(path).map(({MESSAGE}) => MESSAGE)).toEqual(['last'])
  expect([1, 2, 3, 4, 5].map((i) => existsSync(`${path}.${i}`))).toEqual([true, true, true, true, false])
  expect(readFileSync(`${path}.1`, 'latin1')).toMatch(/"MESSAGE":"6"/)
  expect(readFileSync(`${path}.4`, 'latin1')).toMatch(/"MESSAGE":"3"/)
})

it('says once that it cannot be written, and goes on when it can', () => {
  const path = join(scratch, 'none', 'audit.jsonl')
  writeFileSync(join(scratch, 'none'), 'a file where the folder should be')
  const said: string[] = []
  const write = auditLog(path, 'x', (error) => void said.push(error.message))
  for (let i = 0; i < 3; i++) write({event: 'e', message: `${i}`})
  expect(said).toHaveLength(1)
  rmSync(join(scratch, 'none'))
  write({event: 'e', message: 'again'})
  expect(entries(path)).toHaveLength(1)
})
