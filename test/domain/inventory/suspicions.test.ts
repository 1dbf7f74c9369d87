import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {namedFiles, suspicionsOf} from '../../../src/domain/inventory/suspicions.ts'
import {pathText} from '../../../src/domain/yaml-file.ts'
import {INVENTORY} from '../../support/inventory.ts'

const INSTALLED = ['arp', 'agent', 'dhcp', 'mac-proxy', 'push']
const said = (text: string, installed = INSTALLED): string[] =>
  suspicionsOf(parseInventory(text, 'gwswitch.yaml'), installed).map(
    ({path, message}) => `${pathText(path)} ${message}`,
  )
/** The agent of web-07 has no way in the plain one. */
const CALM = INVENTORY.replace('strategies: [agent, dhcp]', 'strategies: [dhcp]')

describe('suspicions', () => {
  it('are none of an inventory that is as it should be', () => expect(said(CALM)).toEqual([]))

  it.each<[string, (text: string) => string, string[]]>([
    [
      'a site without gateways',
      (text) => text.replace('sites:', 'sites:\n  z:'),
      ['sites.z has no gateway on any segment'],
    ],
    [
      'a segment without gateways',
      (text) => text.replace('segments:', 'segments:\n  c: { prefix: 10.2.0.0/24 }'),
      ['segments.c has no gateways: no VM of it can be switched'],
    ],
    [
      'a segment without a gateway at a site',
      (text) => text.replace(/.*name: ry.*\n/, ''),
      ['segments.tenant-a has no gateway at site y, where other segments have one'],
    ],
    [
      'one site alone',
      (text) => text.replace(/.*name: [rb]y.*\n/g, '').replace(/ {2}y: .*\n/, ''),
      [
        'segments.tenant-a has gateways at one site alone: there is nothing to switch to',
        'segments.tenant-b has gateways at one site alone: there is nothing to switch to',
      ],
    ],
    [
      'prefixes that overlap',
      (text) => text.replace('prefix: 10.1.0.0/24', 'prefix: 10.0.0.0/8'),
      ['segments.tenant-b.prefix 10.0.0.0/8 overlaps 10.0.0.0/24 of segment tenant-a, and no vlan tells them apart'],
    ],
    [
      'prefixes that overlap in one VLAN',
      (text) =>
        text
          .replace('prefix: 10.1.0.0/24', 'vlan: 7\n    prefix: 10.0.0.0/8')
          .replace('prefix: 10.0.0.0/24', 'vlan: 7\n    prefix: 10.0.0.0/24'),
      ['segments.tenant-b.prefix 10.0.0.0/8 overlaps 10.0.0.0/24 of segment tenant-a, and no vlan tells them apart'],
    ],
    [
      'prefixes that overlap in two VLANs, which is no finding',
      (text) =>
        text
          .replace('prefix: 10.1.0.0/24', 'vlan: 8\n    prefix: 10.0.0.0/8')
          .replace('prefix: 10.0.0.0/24', 'vlan: 7\n    prefix: 10.0.0.0/24'),
      [],
    ],
    [
      'a strategy that is not installed',
      (text) => text.replace('[dhcp]', '[dhcp, pull]'),
      ['vms.web-07.strategies[1] "pull" is not installed (there are: arp, agent, dhcp, mac-proxy, push)'],
    ],
    [
      'strategies that cannot work',
      (text) => text.replace('[dhcp]', '[agent, arp]').replace('[arp]', '[agent, dhcp]'),
      [
        'vms.web-07.strategies no strategy can work on tenant-a: agent: wants agent.key, agent.qga or agent.domain; arp: wants one gateway address with a MAC at each site',
        'vms.db-03.strategies no strategy can work on tenant-b: agent: wants a gateway address at each site; dhcp: wants a gateway address at each site',
      ],
    ],
    [
      'one MAC at all sites',
      (text) => text.replace('"02:00:00:00:0b:02"', '"02:00:00:00:0a:02"').replace('[arp]', '[arp, mac-proxy]'),
      [
        'vms.db-03.strategies no strategy can work on tenant-b: arp: wants one gateway address with a MAC at each site; mac-proxy: wants gateways with a MAC at each site',
      ],
    ],
    [
      'an agent to be told with a signature, and no key',
      (text) => text.replace('[dhcp]', `[agent], agent: { key: ${'A'.repeat(43)} }`),
      ['vms.web-07.strategies no strategy can work on tenant-a: agent: wants an agentKey of a site'],
    ],
    ['a strategy of a plugin, which may work', (text) => text.replace('[dhcp]', '[agent, push]'), []],
    [
      'a VM at a site where its segment is not',
      (text) => text.replace('sites:', 'sites:\n  z:').replace('[arp] }', '[arp], site: z }'),
      ['sites.z has no gateway on any segment', 'vms.db-03.site tenant-b has no gateway at site z'],
    ],
    [
      "an IPv6 address twice, and a gateway's",
      (text) =>
        text
          .replace('[dhcp]', '[dhcp], ip6: ["2001:db8::1", "2001:db8::1"]')
          .replace('[arp]', '[arp], ip6: ["fe80::1"]')
          .replace('mac: "02:00:00:00:0b:02"', 'mac: "02:00:00:00:0b:02", ip6: ["fe80::1"]'),
      [
        "vms.web-07.ip6[1] 2001:db8::1 is already web-07's",
        "vms.db-03.ip6[0] fe80::1 is the gateway by's",
        'vms.db-03.ip6 is link-local alone: nothing is proved over IPv6 without another one',
      ],
    ],
  ])('%s', (_, change, expected) => {
    const text = change(CALM)
    if (expected.length > 0) expect(text).not.toBe(CALM)
    expect(said(text)).toEqual(expected)
  })

  it('know the files of this host that an inventory names', () => {
    const text = CALM.replace('dciRttMs: 20', 'agentKey: /etc/x.key').replace(
      'prefix: 10.0.0.0/24',
      'prefix: 10.0.0.0/24\n    dhcp: { server: kea, controls: [/run/kea.sock, "https://10.0.0.3:8000/"], ca: /etc/ca.pem }',
    )
    expect(namedFiles(parseInventory(text, 'g')).map(({path, file}) => `${pathText(path)} ${file}`)).toEqual([
      'sites.x.agentKey /etc/x.key',
      'segments.tenant-a.dhcp.ca /etc/ca.pem',
      'segments.tenant-a.dhcp.controls[0] /run/kea.sock',
    ])
  })
})
