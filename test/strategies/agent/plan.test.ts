import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, type Switchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {agent} from '../../../src/strategies/agent/agent.ts'
import {planAgent} from '../../../src/strategies/agent/plan.ts'
import {privateKeyText, publicKeyText} from '../../../src/wire/agent-message.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'
import {AGENT_KEY, SITE_KEY} from './fake-agent.ts'

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-plan-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))
const keyFile = join(folder, 'site-y.key')
writeFileSync(keyFile, privateKeyText(SITE_KEY.privateKey), {mode: 0o600})

const LEG = ethernetInterface({
  name: 'seg-a',
  mac: '02:00:00:00:0b:01',
  addresses: [{ip: '10.0.0.2', prefixLength: 24}],
})
const SIGNED = `{ key: ${publicKeyText(AGENT_KEY.privateKey)}, probes: [203.0.113.10] }`

function move(vmAgent: string, vm = 'web-07', siteKey = `, agentKey: ${keyFile}`): Switchover {
  const text = INVENTORY.replace('203.0.113.0/24] }', `203.0.113.0/24]${siteKey} }`)
    .replace('web-07: {', `web-07: { agent: ${vmAgent},`)
    .replace('db-03: {', `db-03: { agent: ${vmAgent},`)
  return switchoverFrom(resolveSwitchover(parseInventory(text, 'gwswitch.yaml'), {vm, to: 'y'}))
}

describe('the plan of the strategy agent', () => {
  it('is JSON, with the way, the gateways and the name of the key, and not the key', async () => {
    const plan = await planAgent(move(SIGNED), {}, fakeWorld({interfaces: [LEG]}))
    expect(plan).toMatchObject({
      interface: 'seg-a',
      from: {name: 'rx', ip: '10.0.0.1'},
      to: {name: 'ry', ip: '10.0.0.2', mac: '02:00:00:00:0b:01'},
      target: {transport: {kind: 'udp', address: '10.0.0.10', port: 6742}},
      order: {
        site: 'y',
        to: {v4: '10.0.0.2', v6: null},
        from: {v4: '10.0.0.1', v6: null},
        probes: ['203.0.113.10'],
        confirmS: 20,
      },
      key: {file: keyFile, kid: 'site-y'},
      commands: [],
    })
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    expect(agent.describe(plan)[0]).toBe(
      'tell the agent in web-07 (10.0.0.10) by udp 10.0.0.10:6742, signed with site-y, to use 10.0.0.2 (ry, site y)',
    )
  })

  it('needs no key for the QEMU guest agent, and says what would be run', async () => {
    const plan = await planAgent(move('{ qga: /run/web-07.qga }', 'web-07', ''), {}, fakeWorld({interfaces: [LEG]}))
    expect(plan).toMatchObject({
      key: null,
      commands: ['ip -4 route replace default via 10.0.0.2 (its device, metric and protocol kept)'],
    })
    expect(agent.describe(plan)[0]).toMatch(
      /^run in web-07 \(10\.0\.0\.10\) by the QEMU guest agent \/run\/web-07\.qga: ip -4 route replace/,
    )
  })

  it('gives every run a name of its own', async () => {
    const [a, b] = await Promise.all(
      [1, 2].map((seed) => planAgent(move(SIGNED), {}, {...fakeWorld({interfaces: [LEG]}), random: () => seed / 10})),
    )
    expect(a!.order.run).not.toBe(b!.order.run)
  })

  it.each<[string, () => Switchover, RegExp]>([
    [
      'a gateway IP that both sites share',
      () => move(SIGNED, 'db-03'),
      /bx and by share the address 10\.1\.0\.254: .*the arp strategy can/,
    ],
    ['a VM of which no agent is known', () => move('{}'), /no agent is known in web-07: write vms\.web-07\.agent\.key/],
    [
      'a site without a key',
      () => move(SIGNED, 'web-07', ''),
      /no key to sign the order to web-07 with: write sites\.y\.agentKey/,
    ],
    [
      'a key file that is not there',
      () => move(SIGNED, 'web-07', ', agentKey: /nowhere/site-y.key'),
      /\/nowhere\/site-y\.key: no such file/,
    ],
  ])('is refused with the way out for %s', async (_, switchover, message) => {
    await expect(planAgent(switchover(), {}, fakeWorld({interfaces: [LEG]}))).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(message),
    })
  })

  it('needs to stand where it can see the VM', async () => {
    const elsewhere = ethernetInterface({name: 'mgmt', addresses: [{ip: '192.0.2.1', prefixLength: 24}]})
    await expect(planAgent(move(SIGNED), {}, fakeWorld({interfaces: [elsewhere]}))).rejects.toThrow(
      /no interface here is on segment tenant-a.*or use gwswitch notify-agent/,
    )
    const own = ethernetInterface({mac: '02:00:00:00:00:10', addresses: [{ip: '10.0.0.10', prefixLength: 24}]})
    await expect(planAgent(move(SIGNED), {}, fakeWorld({interfaces: [own]}))).rejects.toThrow(/eth0 is the VM itself/)
    await expect(planAgent(move(SIGNED), {interfaceName: 'eth7'}, fakeWorld({interfaces: [LEG]}))).rejects.toThrow(
      /no interface eth7 here; Ethernet interfaces are: seg-a/,
    )
  })
})
