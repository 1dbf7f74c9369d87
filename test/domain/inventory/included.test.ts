import {describe, expect, it} from 'vitest'
import {includesOf, parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {filesOf} from '../../../src/domain/inventory/site.ts'
import {INVENTORY} from '../../support/inventory.ts'

const FILE = 'gwswitch.yaml'
const MAIN = INVENTORY.trimStart()
const included = (...texts: string[]) => texts.map((text, i) => ({path: `vms/${i}.yaml`, text}))
const vm = (name: string, ip = '10.0.0.20', mac = '02:00:00:00:00:20'): string =>
  `  ${name}: { segment: tenant-a, ip: ${ip}, mac: "${mac}" }\n`

describe('an inventory of several files', () => {
  it('is as one file of all of them', () => {
    const segment = 'segments:\n  tenant-c: { prefix: 10.2.0.0/24 }\nsites:\n  z:\n'
    const read = parseInventory(MAIN, FILE, included(`vms:\n${vm('app-1')}`, segment, '# nobody yet\n'))
    expect(read.vms.map(({name}) => name)).toEqual(['web-07', 'db-03', 'app-1'])
    expect(read.segments.map(({name}) => name)).toEqual(['tenant-a', 'tenant-b', 'tenant-c'])
    expect(read.sites.map(({name}) => name)).toEqual(['x', 'y', 'z'])
    expect(filesOf(read)).toEqual([FILE, 'vms/0.yaml', 'vms/1.yaml', 'vms/2.yaml'])
  })

  it.each([
    ['', []],
    ['include:\n', []],
    ['include: vms.yaml\n', []],
    [
      'include: [vms.yaml, vms/*.yaml]\n',
      [
        {pattern: 'vms.yaml', at: `${FILE}:1:11: include[0]`},
        {pattern: 'vms/*.yaml', at: `${FILE}:1:21: include[1]`},
      ],
    ],
  ])('%j includes %j', (text, includes) => expect(includesOf(`${text}${MAIN}`, FILE)).toEqual(includes))

  it.each<[string, string, string[], string]>([
    ['include that is no list', `include: vms.yaml\n${MAIN}`, [], `${FILE}:1:10: include: "vms.yaml" is not a list`],
    [
      'include of nothing',
      `include: ['']\n${MAIN}`,
      [],
      `${FILE}:1:11: include[0]: "" is not a path or a glob (want vms/*.yaml)`,
    ],
    [
      'an included file that includes',
      MAIN,
      ['include: [more.yaml]\n'],
      'vms/0.yaml:1:1: include is not a key of an included file (want it in the inventory itself)',
    ],
    ['a version of another kind', MAIN, ['version: 2\n'], 'vms/0.yaml:1:10: version: 2 is not 1'],
    ['no YAML', MAIN, ['vms: }\n'], 'vms/0.yaml:1:6: not YAML: Unexpected flow-map-end token in YAML stream: "}"'],
    [
      'a wrong value',
      MAIN,
      [`vms:\n${vm('app-1', '10.0.0.256')}`],
      'vms/0.yaml:2:35: vms.app-1.ip: "10.0.0.256" is not an IPv4 address (want 10.0.0.1)',
    ],
    [
      'an address outside',
      MAIN,
      [`vms:\n${vm('app-1')}`, `vms:\n${vm('app-2', '10.9.0.1', '02:00:00:00:00:21')}`],
      'vms/1.yaml:2:35: vms.app-2.ip: 10.9.0.1 is outside 10.0.0.0/24 of segment tenant-a',
    ],
    [
      'a name twice',
      MAIN,
      [`vms:\n${vm('db-03')}`],
      `vms/0.yaml:2:3: vms.db-03 is already at ${FILE}:18:3 (want it once)`,
    ],
    [
      'a segment twice',
      MAIN,
      ['vms:\n', 'segments:\n  tenant-b: { prefix: 10.2.0.0/24 }\n'],
      `vms/1.yaml:2:3: segments.tenant-b is already at ${FILE}:11:3 (want it once)`,
    ],
    [
      'an address twice',
      MAIN,
      [`vms:\n${vm('app-1', '10.0.0.10')}`],
      `vms/0.yaml:2:35: vms.app-1.ip: 10.0.0.10 is already web-07's (want the VM's own); that is at ${FILE}:17:36`,
    ],
    [
      'a MAC twice',
      MAIN,
      [`vms:\n${vm('app-1')}`, `vms:\n${vm('app-2', '10.0.0.21')}`],
      "vms/1.yaml:2:51: vms.app-2.mac: 02:00:00:00:00:20 is already app-1's on segment tenant-a (want a MAC of its own); that is at vms/0.yaml:2:51",
    ],
    [
      'faults in both: the inventory first',
      MAIN.replace('10.0.0.10', '10.1.0.10'),
      [`vms:\n${vm('app-1', '10.9.0.1')}`],
      `${FILE}:17:36: vms.web-07.ip: 10.1.0.10 is outside 10.0.0.0/24 of segment tenant-a [1 more]`,
    ],
  ])('%s', (_, main, texts, message) => {
    expect(() => parseInventory(main, FILE, included(...texts))).toThrow(
      expect.objectContaining({name: 'Failure', kind: 'usage', message}),
    )
  })
})
