import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {type NotifyOrder, readNotices} from '../../../src/orders/notify/notify-request.ts'
import {privateKeyText, publicKeyText} from '../../../src/wire/agent-message.ts'
import {AGENT_KEY, SITE_KEY} from '../../strategies/agent/fake-agent.ts'

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-request-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))
const keyFile = join(folder, 'site-y.key')
writeFileSync(keyFile, privateKeyText(SITE_KEY.privateKey), {mode: 0o600})
const noKey = join(folder, 'no.key')
writeFileSync(noKey, 'not a key', {mode: 0o600})
const openKey = join(folder, 'open.key')
writeFileSync(openKey, privateKeyText(SITE_KEY.privateKey), {mode: 0o644})
chmodSync(openKey, 0o644)
const agentKey = publicKeyText(AGENT_KEY.privateKey)

const inventory = (agent = `{ key: ${agentKey} }`, site = `agentKey: ${keyFile}`) =>
  parseInventory(
    `
version: 1
sites:
  x: { prefixes: [198.51.100.0/24] }
  y: { prefixes: [203.0.113.0/24], ${site} }
segments:
  tenant-a:
    prefix: 10.0.0.0/24
    gateways:
      - { name: rx, site: x, ip: 10.0.0.1, mac: "02:00:00:00:0a:01", ip6: [fe80::1] }
      - { name: ry, site: y, ip: 10.0.0.2, mac: "02:00:00:00:0b:01", ip6: ["fd00::2", fe80::2] }
vms:
  web-07: { segment: tenant-a, ip: 10.0.0.10, mac: "02:00:00:00:00:10", agent: ${agent} }
  six: { segment: tenant-a, ip: 10.0.0.11, mac: "02:00:00:00:00:11", ip6: [fd00::11], agent: ${agent} }
`,
    'gwswitch.yaml',
  )

const flags = (over: Partial<NotifyOrder>): NotifyOrder => ({
  vms: ['web-07'],
  gateway: [],
  from: [],
  probe: [],
  confirmS: 10,
  timeoutMs: 10_000,
  ...over,
})

describe('what notify-agent was asked for', () => {
  it('comes from the inventory: way, key, gateway', () => {
    const [notice] = readNotices(flags({to: 'y'}), inventory(), 'run-1')
    expect(notice!.target).toEqual({
      name: 'web-07',
      id: 'web-07',
      ip: '10.0.0.10',
      mac: '02:00:00:00:00:10',
      transport: {kind: 'udp', address: '10.0.0.10', port: 6742},
      agentKey,
      kid: null,
    })
    expect(notice!.order).toMatchObject({
      run: 'run-1',
      site: 'y',
      to: {v4: '10.0.0.2', v6: null},
      from: {v4: null, v6: null},
      mode: null,
      confirmS: 10,
    })
    expect(notice!.key!.kid).toBe('site-y')
  })

  it('moves IPv6 too, by the link-local address, where the VM speaks it', () => {
    const [notice] = readNotices(flags({vms: ['six'], to: 'y'}), inventory(), 'run-1')
    expect(notice!.order.to).toEqual({v4: '10.0.0.2', v6: 'fe80::2'})
  })

  it('finds the gateway by its name and by its address, and the key of its site', () => {
    for (const gateway of ['ry', '10.0.0.2']) {
      const [notice] = readNotices(flags({gateway: [gateway]}), inventory(), 'run-1')
      expect(notice).toMatchObject({order: {site: 'y', to: {v4: '10.0.0.2'}}, key: {kid: 'site-y'}})
    }
  })

  it('takes an address alone, with flags for what the inventory would say', () => {
    const given = {
      vms: ['10.0.0.10'],
      gateway: ['10.0.0.2', 'fe80::2'],
      from: ['10.0.0.1'],
      key: keyFile,
      kid: 'dc-y',
      agentKey,
      id: 'vm-9',
      port: 7000,
      probe: ['203.0.113.10'],
      mode: 'rule',
    }
    const [notice] = readNotices(flags(given), undefined, 'run-1')
    expect(notice).toMatchObject({
      target: {name: '10.0.0.10', id: 'vm-9', mac: null, transport: {kind: 'udp', address: '10.0.0.10', port: 7000}},
      order: {
        to: {v4: '10.0.0.2', v6: 'fe80::2'},
        from: {v4: '10.0.0.1', v6: null},
        probes: ['203.0.113.10'],
        mode: 'rule',
        site: null,
      },
      key: {kid: 'dc-y'},
    })
  })

  it('needs no key for a QEMU guest agent', () => {
    const [notice] = readNotices(
      flags({vms: ['10.0.0.10'], gateway: ['10.0.0.2'], transport: 'qga', socket: '/run/web-07.qga'}),
      undefined,
      'run-1',
    )
    expect(notice).toMatchObject({target: {transport: {kind: 'qga', socket: '/run/web-07.qga'}}, key: undefined})
  })

  it.each([
    [{agent: `{ key: ${agentKey} }`}, {kind: 'udp', address: '10.0.0.10', port: 6742}],
    [{agent: `{ key: ${agentKey}, address: 10.9.0.1, port: 7000 }`}, {kind: 'udp', address: '10.9.0.1', port: 7000}],
    [{agent: `{ key: ${agentKey}, qga: /run/q }`}, {kind: 'udp', address: '10.0.0.10', port: 6742}],
    [{agent: `{ key: ${agentKey}, socket: /run/a.sock }`}, {kind: 'unix', socket: '/run/a.sock'}],
    [{agent: '{ qga: /run/q }'}, {kind: 'qga', socket: '/run/q'}],
    [{agent: `{ key: ${agentKey}, qga: /run/q, transport: qga }`}, {kind: 'qga', socket: '/run/q'}],
  ])('takes the way that the inventory gives: %j', ({agent}, transport) => {
    expect(readNotices(flags({to: 'y'}), inventory(agent), 'run-1')[0]!.target.transport).toEqual(transport)
  })

  it.each<[string, Partial<NotifyOrder>, RegExp]>([
    ['neither gateway nor site', {}, /^give either --gateway IP or --to SITE$/],
    ['both', {to: 'y', gateway: ['10.0.0.2']}, /^give either/],
    ['an unknown VM', {vms: ['web-08'], to: 'y'}, /no VM "web-08", and it is no address/],
    ['an unknown site', {to: 'z'}, /no site "z"/],
    ['a gateway that is no address', {gateway: ['10.0.0.256']}, /^--gateway 10\.0\.0\.256: is not an IP address/],
    ['two gateways of one family', {gateway: ['10.0.0.2', '10.0.0.3']}, /want one address of each family/],
    ['a probe that is no address', {to: 'y', probe: ['here']}, /^--probe here: is not an IP address/],
    [
      'too many probes',
      {to: 'y', probe: Array.from({length: 9}, () => '203.0.113.10')},
      /^9 probes \(want 8 at most\)/,
    ],
    ['a VM twice', {vms: ['web-07', '10.0.0.10'], to: 'y'}, /^10\.0\.0\.10 is named twice$/],
    ['one id for two VMs', {vms: ['web-07', 'six'], to: 'y', id: 'a'}, /^--id is of one VM/],
    ['an id that is none', {to: 'y', id: 'a b'}, /^--id a b: is no id/],
    ['an unknown key file', {to: 'y', key: '/nowhere/site-y.key'}, /^\/nowhere\/site-y\.key: no such file .*keygen/],
    ['a file without a key', {to: 'y', key: noKey}, /holds no Ed25519 private key/],
    ['a key that others can read', {to: 'y', key: openKey}, /open\.key: holds a secret that every user may read/],
    ['a public key that is none', {to: 'y', agentKey: 'abc'}, /^--agent-key abc: is no Ed25519 public key/],
    [
      'the old site, of which there is no key',
      {gateway: ['10.0.0.1']},
      /no key to sign the order to web-07 with: give --key FILE, or write sites\.x\.agentKey/,
    ],
    ['qga without its socket', {to: 'y', transport: 'qga'}, /transport qga needs the guest agent's socket/],
    ['unix without its socket', {to: 'y', transport: 'unix'}, /transport unix needs the agent's socket/],
  ])('is refused with a reason: %s', (_, over, message) => {
    expect(() => readNotices(flags(over), inventory(), 'run-1')).toThrow(message)
  })

  it('says what to write for a VM of which no agent is known', () => {
    expect(() => readNotices(flags({to: 'y'}), inventory('{}'), 'run-1')).toThrow(
      /no agent is known in web-07: write vms\.web-07\.agent\.key .*vms\.web-07\.agent\.qga/,
    )
  })

  it('says that an address needs an inventory or flags', () => {
    expect(() => readNotices(flags({gateway: ['10.0.0.2']}), undefined, 'run-1')).toThrow(
      /there is no inventory that knows it/,
    )
  })
})
