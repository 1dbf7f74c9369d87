import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {findVm} from '../../../src/domain/inventory/site.ts'

const KEY = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
const read = (agent: string, site = '') =>
  parseInventory(
    `version: 1
sites: { x: {}, y: {${site}} }
segments:
  a: { prefix: 10.0.0.0/24, gateways: [{ name: ry, site: y, ip: 10.0.0.2, mac: "02:00:00:00:0b:01" }] }
vms:
  web-07:
    segment: a
    ip: 10.0.0.10
    mac: "02:00:00:00:00:10"
    agent: ${agent}
`,
    'gwswitch.yaml',
  )

describe('vms.NAME.agent', () => {
  it('reads every key', () => {
    const agent = `{ id: vm-9, address: "fd00::0010", port: 7000, key: ${KEY}, kid: dc-y, socket: /run/a, qga: /run/q, transport: udp, mode: drain, probes: [203.0.113.10, "2001:db8::1"] }`
    expect(findVm(read(agent), 'web-07')!.agent).toEqual({
      ...{id: 'vm-9', address: 'fd00::10', port: 7000, key: KEY, kid: 'dc-y', socket: '/run/a', qga: '/run/q'},
      ...{transport: 'udp', mode: 'drain', probes: ['203.0.113.10', '2001:db8::1']},
    })
  })

  it.each([
    ['{ kee: x }', /:10:14: vms\.web-07\.agent\.kee is not a key of the inventory.*key/],
    ['{ key: short }', /vms\.web-07\.agent\.key: "short" is not right \(want the 43 characters/],
    ['{ port: 0 }', /vms\.web-07\.agent\.port/],
    ['{ address: host }', /vms\.web-07\.agent\.address: "host" is not right \(want an IP address/],
    ['{ qga: sock }', /vms\.web-07\.agent\.qga: "sock" is not right \(want an absolute path/],
    ['{ mode: swap }', /vms\.web-07\.agent\.mode.*"replace" or "rule" or "drain"/],
    ['{ transport: qga }', /vms\.web-07\.agent\.qga is missing \(transport qga needs/],
    ['{ transport: unix, key: KEY }', /vms\.web-07\.agent\.socket is missing/],
    ['{ transport: udp }', /vms\.web-07\.agent\.key is missing/],
    ['{ probes: [here] }', /vms\.web-07\.agent\.probes\[0\]: "here" is not right/],
    ['{ id: "a b" }', /vms\.web-07\.agent\.id: "a b" is not right/],
  ])('refuses %s', (agent, message) => {
    expect(() => read(agent.replace('KEY', KEY))).toThrow(message)
  })
})

describe('sites.NAME.agentKey', () => {
  it('is known at the gateways of the site', () => {
    expect(read(`{ key: ${KEY} }`, 'agentKey: /etc/gwswitch/site-y.key').segments[0]!.gateways[0]!.agentKey).toBe(
      '/etc/gwswitch/site-y.key',
    )
  })
  it('is an absolute path', () => {
    expect(() => read('{}', 'agentKey: site-y.key')).toThrow(
      /sites\.y\.agentKey: "site-y\.key" is not right \(want an absolute path/,
    )
  })
})
