import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeEach, describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import type {NamedText} from '../../../src/net/file/inventory-file.ts'
import {type KeptReadings, keptReading} from '../../../src/net/file/kept-reading.ts'

const scratch = mkdtempSync(join(tmpdir(), 'gwswitch-kept-'))
afterAll(() => rmSync(scratch, {recursive: true, force: true}))

const PATH = '/etc/gwswitch/gwswitch.yaml'
const TEXT = `version: 1
sites: { x: { prefixes: [198.51.100.0/24] }, y: {} }
segments:
  a:
    prefix: 10.0.0.0/24
    gateways:
      - { name: rx, site: x, ip: 10.0.0.1, mac: "02:00:00:00:0a:01" }
      - { name: ry, site: y, ip: 10.0.0.2, mac: "02:00:00:00:0b:01" }
vms: { web: { segment: a, ip: 10.0.0.10, mac: "02:00:00:00:00:10", strategies: [dhcp] } }
`

describe('what an inventory was found to say', () => {
  let count = 0
  let reads = 0
  let options: KeptReadings
  let included: readonly NamedText[]
  let there: () => readonly NamedText[]
  beforeEach(() => {
    reads = 0
    included = []
    there = () => included
    options = {folder: join(scratch, `${count++}`), build: 'one'}
  })
  const file = (): string => join(options.folder, readdirSync(options.folder)[0]!)
  const read = (text = TEXT, over: Partial<KeptReadings> = {}, path = PATH): Promise<unknown> =>
    keptReading(
      {path, text},
      async () => {
        reads++
        return {value: parseInventory(text, path, included), draws: ['vms/*.yaml'], texts: included}
      },
      (draws) => {
        expect(draws).toEqual(['vms/*.yaml'])
        return there()
      },
      {...options, ...over},
    )

  it('is not read again while the text is the same, and is the same then', async () => {
    const first = await read()
    expect(await read()).toEqual(first)
    expect(first).toEqual(parseInventory(TEXT, PATH))
    expect(reads).toBe(1)
    expect([statSync(options.folder).mode & 0o777, statSync(file()).mode & 0o777]).toEqual([0o700, 0o600])
  })

  it.each([
    ['another text', () => read(TEXT.replace('10.0.0.10', '10.0.0.11'))],
    ['another program', () => read(TEXT, {build: 'two'})],
    ['another file', () => read(TEXT, {}, '/etc/other.yaml')],
    ['a program that is not built', () => read(TEXT, {build: undefined})],
  ])('is read again by or for %s', async (_, again) => {
    await read()
    expect(await again()).not.toBeUndefined()
    expect(reads).toBe(2)
  })

  it.each([
    ['is cut off', () => truncateSync(file(), 40)],
    ['is empty', () => truncateSync(file(), 0)],
    ['is all zeros', () => writeFileSync(file(), Buffer.alloc(readFileSync(file()).length))],
    ['is in a folder where others write', () => chmodSync(options.folder, 0o777)],
  ])('is read again where what was kept %s', async (_, harm) => {
    const first = await read()
    harm()
    expect(await read()).toEqual(first)
    expect(reads).toBe(2)
  })

  const ONE = {path: 'vms/a.yaml', text: 'vms: { db: { segment: a, ip: 10.0.0.11, mac: 02:00:00:00:00:11 } }\n'}
  const TWO = {path: 'vms/b.yaml', text: 'vms: { bo: { segment: a, ip: 10.0.0.12, mac: 02:00:00:00:00:12 } }\n'}
  it.each<[string, number, () => readonly NamedText[]]>([
    ['are as they were', 1, () => [ONE, TWO]],
    ['changed', 2, () => [ONE, {...TWO, text: TWO.text.replace('10.0.0.12', '10.0.0.13')}]],
    ['are more', 2, () => [ONE, TWO, {path: 'vms/c.yaml', text: ''}]],
    ['are fewer', 2, () => [ONE]],
    ['have another name', 2, () => [ONE, {...TWO, path: 'vms/c.yaml'}]],
    [
      'cannot be read',
      2,
      () => {
        throw new Error('permission denied')
      },
    ],
  ])('of included files that %s: read %i times', async (_, times, now) => {
    included = [ONE, TWO]
    const first = await read()
    there = now
    expect(await read()).toEqual(first)
    expect(reads).toBe(times)
  })

  it('is nothing that is wrong', async () => {
    for (let i = 0; i < 2; i++) await expect(read('version: 2\n')).rejects.toThrow('gwswitch.yaml:1:')
    expect(reads).toBe(2)
  })

  it('is taken in a dry run, which keeps nothing', async () => {
    await read(TEXT, {readOnly: true})
    expect(existsSync(options.folder)).toBe(false)
    await read()
    await read(TEXT, {readOnly: true})
    expect(reads).toBe(2)
  })

  it('is kept of the eight files that were read last', async () => {
    for (let i = 0; i < 12; i++) await read(TEXT, {}, `/etc/${i}.yaml`)
    expect(readdirSync(options.folder)).toHaveLength(8)
    await read(TEXT, {}, '/etc/11.yaml')
    expect(reads).toBe(12)
  })

  it('costs nobody a failure where nothing can be kept', async () => {
    writeFileSync(join(scratch, 'file'), '')
    await read(TEXT, {folder: join(scratch, 'file')})
    await read(TEXT, {}, `/etc/${'long'.repeat(100)}.yaml`)
    expect(reads).toBe(2)
  })
})
