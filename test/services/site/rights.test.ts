import {describe, expect, it} from 'vitest'
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_KILL,
  CAP_NET_ADMIN,
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
} from '../../../src/net/process/confine.ts'
import type {ControlOptions} from '../../../src/services/site/control.ts'
import {type SiteFiles, siteRights, suffices} from '../../../src/services/site/rights.ts'
import {inventory, service, useKeyFile} from './site-fixture.ts'

useKeyFile()

const INSTALLED = ['arp', 'agent', 'dhcp', 'mac-proxy']
const RECORDS = '/var/lib/gwswitch'
const ROOTS: SiteFiles = {
  ...{read: ['/etc/gwswitch/site-y.key'], written: [], records: RECORDS},
  isRoots: () => true,
}
const FILES = [CAP_DAC_OVERRIDE, CAP_CHOWN]

interface Case {
  readonly change?: (text: string) => string
  readonly installed?: readonly string[]
  readonly files?: Partial<SiteFiles>
  readonly listen?: string
  readonly control?: ControlOptions
}

const rightsOf = ({change, installed = INSTALLED, files = {}, listen, control}: Case) =>
  siteRights(
    {...service(listen === undefined ? {} : {listen}, inventory(change)), ...(control && {control})},
    installed,
    {...ROOTS, ...files},
  )

const strategies = (names: string) => (text: string) => text.replace('strategies: [agent],', `strategies: [${names}],`)
const dhcp = (server: string) => (text: string) =>
  strategies('dhcp')(text).replace(/^( +)tenant-a:.*\n/m, (line, indent) => `${line}${indent}  dhcp: ${server}\n`)

describe('serve site keeps of root', () => {
  it.each<[string, Case, readonly number[], readonly string[]]>([
    ['raw frames alone, for VMs that have an agent', {}, [CAP_NET_RAW], []],
    ['the bridge, for redirections', {change: strategies('agent, mac-proxy')}, [CAP_NET_RAW, CAP_NET_ADMIN], [RECORDS]],
    ['neighbour entries, to make VMs known', {change: strategies('arp')}, [CAP_NET_RAW, CAP_NET_ADMIN], []],
    ['the same, where a VM leaves the choice to us', {change: strategies('')}, [CAP_NET_RAW, CAP_NET_ADMIN], [RECORDS]],
    ['nothing for a strategy that is not installed', {change: strategies('agent, other')}, [CAP_NET_RAW], []],
    ['a port below 1024', {listen: '10.0.0.2:743'}, [CAP_NET_RAW, CAP_NET_BIND_SERVICE], []],
    [
      'where it writes',
      {files: {written: ['/var/log/gwswitch/audit.jsonl', '/var/log/gwswitch/site.prom']}},
      [CAP_NET_RAW],
      ['/var/log/gwswitch'],
    ],
    ["files of others, where its own are others'", {files: {isRoots: () => false}}, [CAP_NET_RAW, ...FILES], []],
    [
      "a DHCP server's files and its signal",
      {change: dhcp('{ server: dnsmasq, optsfile: /etc/dnsmasq.d/opts }')},
      [CAP_NET_RAW, ...FILES, CAP_KILL],
      ['/var/lib/gwswitch', '/etc/dnsmasq.d'],
    ],
    [
      "what a DHCP server's commands lock",
      {change: dhcp('{ server: kea, control: /run/kea/socket }')},
      [CAP_NET_RAW, ...FILES],
      ['/var/lib/gwswitch', '/run/kea'],
    ],
    [
      'the locks of a server that is spoken to over the network',
      {
        change: dhcp(
          '{ server: isc, omapi: "127.0.0.1:7911", omapiKey: /etc/dhcp/omapi.key, leases: /var/lib/dhcp/l }',
        ),
      },
      [CAP_NET_RAW, ...FILES],
      ['/var/lib/gwswitch', '/run/lock'],
    ],
    [
      'what is remembered of clients, for a shim that the inventory does not name',
      {change: strategies('dhcp')},
      [CAP_NET_RAW],
      ['/var/lib/gwswitch'],
    ],
    ...['guestAgent: /run/qga', 'carrier: {qmp: /run/qmp}'].map((socket): [string, Case, number[], string[]] => [
      `a hypervisor's socket (${socket}), though no DHCP server is in the inventory`,
      {
        change: (text) =>
          strategies('dhcp')(text).replace('strategies: [dhcp],', `strategies: [dhcp], dhcp: {${socket}},`),
      },
      [CAP_NET_RAW, ...FILES],
      ['/var/lib/gwswitch'],
    ]),
    ["a shim's socket", {change: dhcp('{ server: shim }')}, [CAP_NET_RAW, ...FILES], ['/var/lib/gwswitch']],
    ["a DHCP server's socket", {change: dhcp('{ server: gwswitch }')}, [CAP_NET_RAW, ...FILES], ['/var/lib/gwswitch']],
  ])('%s', (_, given, capabilities, folders) => {
    expect(rightsOf(given)).toEqual({capabilities, folders})
  })

  it("everything, where a plugin's strategy may be used", () => {
    expect(rightsOf({change: strategies(''), installed: [...INSTALLED, 'other']})).toBeUndefined()
  })
})

it('a configuration that needs more than was kept is not taken', () => {
  const held = rightsOf({})!
  expect(suffices(held, rightsOf({}))).toBe(true)
  for (const more of [
    {change: strategies('mac-proxy')},
    {files: {written: ['/var/log/audit.jsonl']}},
    {change: strategies('other'), installed: [...INSTALLED, 'other']},
  ])
    expect(suffices(held, rightsOf(more))).toBe(false)
})
