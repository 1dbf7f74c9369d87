import {describe, expect, it} from 'vitest'
import {type AgainstRow, type Answer, againstNetwork, checkExit} from '../../../src/domain/inventory/against-network.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {INVENTORY} from '../../support/inventory.ts'

const inventory = parseInventory(
  INVENTORY.replace('prefix: 10.1.0.0/24', 'prefix: 10.1.0.0/24\n    ports: [vx0]').replace(
    '[arp]',
    '[arp], site: x, ips: [10.1.0.11]',
  ),
  'gwswitch.yaml',
)
const segment = inventory.segments[1]!
const vms = inventory.vms.filter((vm) => vm.segment === segment.name)
const [BX, BY, DB, STRANGER] = ['02:00:00:00:0a:02', '02:00:00:00:0b:02', '02:00:00:00:01:10', '02:00:00:00:0e:0e']
const says = (ip: string, mac: string): Answer => ({ip, mac, interface: 'br0'})
const ports: Record<string, string> = {[BX!]: 'vx0', [DB!]: 'vnet0', [STRANGER!]: 'vnet1'}

const rowsOf = (answers: readonly Answer[], site: string | null = 'y', own: readonly string[] = []) =>
  againstNetwork(segment, vms, {answers, own: new Set(own), portOf: (mac) => ports[mac], site: site ?? undefined})
const short = ({name, ip, standing, others, port, site}: AgainstRow) =>
  [name, ip, standing, ...others, port ?? '-', site ?? '-'].join(' ')
const ALL = [says('10.1.0.254', BX!), says('10.1.0.254', BY!), says('10.1.0.10', DB!), says('10.1.0.11', DB!)]

describe('an inventory against the network', () => {
  it.each<[string, readonly Answer[], readonly string[], string[]]>([
    [
      'all there, gateway X behind the inter-site port',
      ALL,
      [],
      [
        'bx 10.1.0.254 answers vx0 x',
        'by 10.1.0.254 answers - -',
        'db-03 10.1.0.10 answers vnet0 y',
        'db-03 10.1.0.11 answers vnet0 y',
      ],
    ],
    [
      'nobody',
      [],
      [],
      [
        'bx 10.1.0.254 silent - -',
        'by 10.1.0.254 silent - -',
        'db-03 10.1.0.10 silent - -',
        'db-03 10.1.0.11 silent - -',
      ],
    ],
    [
      'this host is gateway Y, whose kernel does not answer itself; X answers for the address that they share',
      ALL.filter(({mac}) => mac !== BY),
      [BY!],
      [
        'bx 10.1.0.254 answers vx0 x',
        'by 10.1.0.254 own - -',
        'db-03 10.1.0.10 answers vnet0 y',
        'db-03 10.1.0.11 answers vnet0 y',
      ],
    ],
    [
      'somebody else has addresses of a gateway and of the VM, beside it and in its place',
      [...ALL.slice(0, 3), says('10.1.0.254', STRANGER!), says('10.1.0.10', STRANGER!), says('10.1.0.11', STRANGER!)],
      [],
      [
        `bx 10.1.0.254 twice ${STRANGER} vx0 x`,
        `by 10.1.0.254 twice ${STRANGER} - -`,
        `db-03 10.1.0.10 twice ${STRANGER} vnet0 y`,
        `db-03 10.1.0.11 other-mac ${STRANGER} vnet1 y`,
      ],
    ],
  ])('%s', (_, answers, own, rows) => expect(rowsOf(answers, 'y', own).map(short)).toEqual(rows))

  it('says no site where its own is not known', () => {
    expect(rowsOf(ALL, null).map(({site}) => site)).toEqual([null, null, null, null])
  })

  const CALM = {errors: 0, warnings: 0}
  const network = (answers: readonly Answer[], site: string | null = 'y', unasked = 0) => ({
    rows: rowsOf(answers, site),
    unasked,
    siteOf: () => site ?? undefined,
  })
  it.each<[string, {errors: number; warnings: number}, Parameters<typeof checkExit>[1], number]>([
    ['a file without findings', CALM, undefined, 0],
    ['a suspicious file', {errors: 0, warnings: 1}, undefined, 10],
    ['a wrong file', {errors: 1, warnings: 1}, undefined, 2],
    ['everybody answers', CALM, network(ALL), 0],
    ['a segment that is not here', CALM, network(ALL, 'y', 1), 11],
    ['a silent VM', CALM, network(ALL.slice(0, 3)), 11],
    ['a silent VM and a suspicious file', {errors: 0, warnings: 1}, network(ALL.slice(0, 3)), 10],
    ["the other site's gateway is silent", CALM, network(ALL.slice(1)), 11],
    ["this site's gateway is silent", CALM, network([ALL[0]!, ...ALL.slice(2)]), 12],
    [
      'a gateway is silent, and nobody knows at which site this is',
      CALM,
      network([ALL[0]!, ...ALL.slice(2)], null),
      11,
    ],
    ['an address twice', CALM, network([...ALL, says('10.1.0.10', STRANGER!)]), 10],
    ['a VM at another MAC', CALM, network([...ALL.slice(0, 3), says('10.1.0.11', STRANGER!)]), 10],
    ['a gateway at another MAC, far or near', CALM, network([says('10.1.0.254', STRANGER!), ...ALL.slice(2)]), 12],
  ])('%s: %o', (_, counted, found, exit) => expect(checkExit(counted, found)).toBe(exit))
})
