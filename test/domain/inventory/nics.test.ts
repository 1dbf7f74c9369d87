import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {findVm, vmsCalled} from '../../../src/domain/inventory/site.ts'
import {INVENTORY} from '../../support/inventory.ts'

const FILE = 'gwswitch.yaml'
const NICS = `${INVENTORY.trimStart()}  app-1:
    segment: tenant-a
    ip: 10.0.0.20
    mac: "02:00:00:00:00:20"
    ips: [10.0.0.21, 10.0.0.22]
    site: x
    strategies: [agent]
    agent: { domain: app-1 }
    nics:
      - { segment: tenant-b, ip: 10.1.0.20, mac: "02:00:00:00:00:20", ip6: ["2001:db8::20"] }
      - { segment: tenant-b, name: storage, ip: 10.1.0.21, mac: "02:00:00:00:01:21" }
`
const inventory = parseInventory(NICS, FILE)

describe('a VM with several NICs', () => {
  it('is a VM for each of them, with the name of the VM and of the segment or its own', () => {
    const rest = {site: 'x', strategies: ['agent'], agent: {domain: 'app-1'}}
    const nic = (at: number) => ({...rest, nicOf: {vm: 'app-1', at}})
    expect(inventory.vms.slice(2)).toEqual([
      {
        ...{name: 'app-1/tenant-a', segment: 'tenant-a', ip: '10.0.0.20', mac: '02:00:00:00:00:20'},
        ...{ips: ['10.0.0.21', '10.0.0.22'], ...nic(0)},
      },
      {
        ...{name: 'app-1/tenant-b', segment: 'tenant-b', ip: '10.1.0.20', mac: '02:00:00:00:00:20'},
        ...{ip6: ['2001:db8::20'], ...nic(1)},
      },
      {name: 'app-1/storage', segment: 'tenant-b', ip: '10.1.0.21', mac: '02:00:00:00:01:21', ...nic(2)},
    ])
  })

  it.each([
    ['app-1/tenant-a', 'app-1/tenant-a'],
    ['10.0.0.20', 'app-1/tenant-a'],
    ['10.0.0.22', 'app-1/tenant-a'],
    ['2001:db8::20', 'app-1/tenant-b'],
    ['02-00-00-00-01-21', 'app-1/storage'],
    ['02:00:00:00:01:10', 'db-03'],
    ['app-1/tenant', undefined],
    ['10.0.0.23', undefined],
    ['02:00:00:00:01:22', undefined],
  ])('%s is %s', (text, name) => expect(findVm(inventory, text)?.name).toBe(name))

  it.each([
    ['app-1', `${FILE}: app-1 has 3 NICs: name one (app-1/tenant-a, app-1/tenant-b, app-1/storage)`],
    [
      '02:00:00:00:00:20',
      `${FILE}: 02:00:00:00:00:20 is the MAC of app-1/tenant-a (segment tenant-a) and app-1/tenant-b (segment tenant-b): give the name`,
    ],
  ])('%s fits several, and one has to be named', (text, message) => {
    expect(() => findVm(inventory, text)).toThrow(expect.objectContaining({kind: 'usage', message}))
    expect(vmsCalled(inventory, text).length).toBeGreaterThan(1)
  })

  it.each([
    [
      ', name: storage',
      '',
      `${FILE}:29:9: vms.app-1.nics[1]: another NIC is app-1/tenant-b already (want a name of its own: name: storage)`,
    ],
    [
      'name: storage',
      'name: a/b',
      `${FILE}:29:36: vms.app-1.nics[1].name: "a/b" is not a name (want letters, digits, "-", "_", "."; no address)`,
    ],
    [
      'name: storage',
      'nmae: storage',
      `${FILE}:29:30: vms.app-1.nics[1].nmae is not a key of the inventory (did you mean "name"?)`,
    ],
    ['10.1.0.21', '10.1.0.10', `${FILE}:29:49: vms.app-1.nics[1].ip: 10.1.0.10 is already db-03's (want the VM's own)`],
    ['10.0.0.22]', '10.0.0.10]', `${FILE}:23:22: vms.app-1.ips[1]: 10.0.0.10 is already web-07's (want the VM's own)`],
    [
      '10.0.0.22]',
      '10.1.0.22]',
      `${FILE}:23:22: vms.app-1.ips[1]: 10.1.0.22 is outside 10.0.0.0/24 of segment tenant-a`,
    ],
    ['10.0.0.22]', '10.0.0.2]', `${FILE}:23:22: vms.app-1.ips[1]: 10.0.0.2 is the gateway ry's (want the VM's own)`],
    [
      '"02:00:00:00:01:21"',
      '"02:00:00:00:01:10"',
      `${FILE}:29:65: vms.app-1.nics[1].mac: 02:00:00:00:01:10 is already db-03's on segment tenant-b (want a MAC of its own)`,
    ],
    [
      'segment: tenant-b, name',
      'segment: tenant-z, name',
      `${FILE}:29:20: vms.app-1.nics[1].segment: "tenant-z" is not a segment (did you mean "tenant-a"?)`,
    ],
    ['site: x\n    str', 'site: q\n    str', `${FILE}:24:11: vms.app-1.site: "q" is not a site (known: x, y)`],
    ['    nics:\n', '    nics: 3\n    x:\n', `${FILE}:27:11: vms.app-1.nics: 3 is not a list [1 more]`],
  ])('%s -> %s', (right, wrong, message) => {
    expect(NICS).toContain(right)
    expect(() => parseInventory(NICS.replace(right, wrong), FILE)).toThrow(expect.objectContaining({message}))
  })
})
