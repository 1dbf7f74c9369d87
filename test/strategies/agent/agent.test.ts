// The strategy as a whole, against an agent in memory and a VM that sends where its agent says, or does not.
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {Failure} from '../../../src/errors.ts'
import {agentBy} from '../../../src/strategies/agent/agent.ts'
import type {AgentPlan} from '../../../src/strategies/agent/plan.ts'
import {signedConversation} from '../../../src/strategies/agent/signed.ts'
import {type AgentCommand, privateKeyText, publicKeyText} from '../../../src/wire/agent-message.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {segmentOf} from '../../support/segment.ts'
import type {FakeVm} from '../../support/vm.ts'
import {ethernetInterface, fakeWorld} from '../../support/world.ts'
import {AGENT_KEY, type FakeAgent, fakeAgent, type Reply, SITE_KEY} from './fake-agent.ts'

const folder = mkdtempSync(join(tmpdir(), 'gwswitch-agent-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))
const keyFile = join(folder, 'site-y.key')
writeFileSync(keyFile, privateKeyText(SITE_KEY.privateKey), {mode: 0o600})

const VM = {ip: '10.0.0.10', mac: '02:00:00:00:00:10'}
const OLD = '02:00:00:00:0a:01'
const NEW = '02:00:00:00:0b:01'
/** A port of the VM's hypervisor: all that the VM sends passes there. */
const PORT = ethernetInterface({name: 'vnet0', mac: 'fe:00:00:00:00:10', addresses: []})
/** The new gateway's own leg: what goes to the old one does not. */
const LEG = ethernetInterface({name: 'leg', mac: NEW, addresses: [{ip: '10.0.0.2', prefixLength: 24}]})

interface Scene {
  /** What the agent says to a command. */
  readonly says?: (command: AgentCommand) => readonly Reply[]
  /** Where the VM sends; undefined if it is silent. */
  readonly sendsTo: string | undefined
  readonly at?: typeof PORT
  /** No way to the agent at all. */
  readonly unreachable?: Error
}

/** The segment, as far as it passes here: the VM's echo answers go where it sends, or nowhere that is seen. */
function answers({sendsTo, at = PORT}: Scene) {
  const vm: FakeVm = {
    ...VM,
    gatewayMac: sendsTo ?? '',
    silent: sendsTo === undefined,
    heard: (to) => at !== LEG || to === NEW,
  }
  const gateways = [
    {ip: '10.0.0.1', mac: OLD},
    {ip: '10.0.0.2', mac: NEW},
  ]
  // Both gateways have an address of their own: no neighbour entry of the VM moves.
  return segmentOf(vm, gateways, 'none')
}

async function scene(given: Scene) {
  const {at = PORT, says = () => [], unreachable} = given
  const world = fakeWorld({interfaces: [at], onSend: answers(given)})
  const talks: FakeAgent[] = []
  const agent = agentBy(async (target, order, key, stage) => {
    if (unreachable) throw unreachable
    const talk = fakeAgent(world, says)
    talks.push(talk)
    return signedConversation(target, order, {peer: talk.peer, key: key!}, stage)
  })
  const text = INVENTORY.replace('203.0.113.0/24] }', `203.0.113.0/24], agentKey: ${keyFile} }`).replace(
    'web-07: {',
    `web-07: { agent: {key: ${publicKeyText(AGENT_KEY.privateKey)}, probes: [203.0.113.10]},`,
  )
  const switchover = switchoverFrom(resolveSwitchover(parseInventory(text, 'gwswitch.yaml'), {vm: 'web-07', to: 'y'}))
  const planned: AgentPlan = await agent.plan(switchover, {interfaceName: at.name}, world)
  // As the look found it: the VM used the old gateway.
  const plan: AgentPlan = {...planned, before: {uses: planned.from, away: true}}
  const stage = {world, signal: new AbortController().signal, observe: () => {}}
  const heard = (): string[] => talks.flatMap((talk) => talk.heard.map(({op}) => op))
  return {agent, plan, stage, heard, talks, closed: () => talks.every((talk) => talk.closed())}
}

const APPLIED = {state: 'applied', gw4: '10.0.0.2'} as const
const CONFIRMED = {state: 'confirmed', gw4: '10.0.0.2'} as const
const ROLLED_BACK = {state: 'rolled_back', reason: 'requested', gw4: '10.0.0.1'} as const

describe('execute', () => {
  it('orders the new gateway, and leaves the way back to the VM until it is confirmed', async () => {
    const {agent, plan, stage, heard, talks, closed} = await scene({sendsTo: OLD, says: () => [APPLIED]})
    await agent.execute(plan, stage)
    expect(heard()).toEqual(['switch'])
    expect(talks[0]!.heard[0]).toMatchObject({
      gw4: '10.0.0.2',
      from_gw4: '10.0.0.1',
      confirm_s: 20,
      run: plan.order.run,
    })
    expect(closed()).toBe(true)
  })

  it('is an error where nothing was changed', async () => {
    const {agent, plan, stage, closed} = await scene({
      sendsTo: OLD,
      says: () => [{state: 'refused', reason: 'gateway_not_allowed', detail: 'key site-y may not choose 10.0.0.2'}],
    })
    await expect(agent.execute(plan, stage)).rejects.toMatchObject({
      kind: 'refused',
      message: 'web-07 refuses: gateway_not_allowed: key site-y may not choose 10.0.0.2',
    })
    expect(closed()).toBe(true)
  })

  it('is an error where nobody answers', async () => {
    const {agent, plan, stage} = await scene({sendsTo: OLD})
    await expect(agent.execute(plan, stage)).rejects.toMatchObject({kind: 'silent'})
  })

  it('leaves it to verify to see what the VM took back by itself', async () => {
    const {agent, plan, stage} = await scene({sendsTo: OLD, says: () => [{...ROLLED_BACK, reason: 'probe_failed'}]})
    await expect(agent.execute(plan, stage)).resolves.toBeUndefined()
  })
})

describe('verify', () => {
  it('confirms what the network shows', async () => {
    const {agent, plan, stage, heard, closed} = await scene({sendsTo: NEW, says: () => [CONFIRMED]})
    expect(await agent.verify(plan, stage, undefined)).toMatchObject({
      ...{ok: true, code: 'served', uses: {name: 'ry'}},
      evidence: [
        `web-07 leaves through ry (${NEW})`,
        `ry (${NEW}) takes packets on: 203.0.113.10 answers`,
        'the agent of web-07, signed, says: confirmed, uses 10.0.0.2',
      ],
    })
    expect(heard()).toEqual(['confirm'])
    expect(closed()).toBe(true)
  })

  it.each<[string, Scene, RegExp]>([
    ['still sends to the old gateway', {sendsTo: OLD}, /leaves through rx/],
    ['sends to a stranger', {sendsTo: '02:00:00:00:0c:01'}, /02:00:00:00:0c:01, which is no gateway of this segment/],
    ['is silent', {sendsTo: undefined}, /is silent: no answer to ARP or echo/],
    ['cannot be seen sending', {sendsTo: OLD, at: LEG}, /answers ARP, but where it sends cannot be seen at leg/],
  ])('confirms nothing while the VM %s, whatever its agent would say', async (_, given, why) => {
    const {agent, plan, stage, heard} = await scene({...given, says: () => [CONFIRMED]})
    expect(await agent.verify(plan, stage, undefined)).toMatchObject({
      ok: false,
      evidence: expect.arrayContaining([expect.stringMatching(why)]),
    })
    expect(heard()).toEqual([])
  })

  it.each<[string, readonly Reply[]]>([
    ['has gone back', [ROLLED_BACK]],
    ['says nothing', []],
  ])('does not believe in a switch of which the agent %s', async (_, replies) => {
    const {agent, plan, stage} = await scene({sendsTo: NEW, says: () => replies})
    expect((await agent.verify(plan, stage, undefined)).ok).toBe(false)
  })
})

describe('rollback', () => {
  it('is done when the network shows the old gateway', async () => {
    const {agent, plan, stage, heard, talks} = await scene({sendsTo: OLD, says: () => [ROLLED_BACK]})
    const verdict = await agent.rollback(plan, stage)
    expect(verdict).toMatchObject({
      ok: true,
      evidence: expect.arrayContaining([
        expect.stringMatching(/rolled back, uses 10\.0\.0\.1/),
        expect.stringMatching(/through rx/),
      ]),
    })
    expect(heard()).toEqual(['rollback'])
    expect(talks[0]!.heard[0]!.run).toBe(plan.order.run)
  })

  it.each<[string, Scene]>([
    ['still sends to the new one', {sendsTo: NEW, says: () => [ROLLED_BACK]}],
    ['is silent', {sendsTo: undefined, says: () => [ROLLED_BACK]}],
  ])('is not done where the VM %s, whatever its agent says', async (_, given) => {
    const {agent, plan, stage} = await scene(given)
    expect((await agent.rollback(plan, stage)).ok).toBe(false)
  })

  it.each<[string, Scene, RegExp]>([
    ['does not answer', {sendsTo: OLD}, /no answer from udp 10\.0\.0\.10:6742/],
    [
      'is out of reach',
      {sendsTo: OLD, unreachable: new Failure('runtime', 'no way to 10.0.0.10')},
      /^no way to 10\.0\.0\.10$/,
    ],
  ])('is done also where the agent %s, if the VM went back by itself', async (_, given, said) => {
    const {agent, plan, stage} = await scene(given)
    const {ok, evidence} = await agent.rollback(plan, stage)
    expect(evidence[0]).toMatch(said)
    expect(ok).toBe(true)
  })

  it('takes the signed word of a VM that lives and cannot be seen from where this runs', async () => {
    const {agent, plan, stage} = await scene({sendsTo: OLD, at: LEG, says: () => [ROLLED_BACK]})
    expect(await agent.rollback(plan, stage)).toMatchObject({
      ...{ok: true, code: 'unverified', uses: null},
      evidence: expect.arrayContaining([expect.stringMatching(/says: rolled back/)]),
    })
  })

  it('lets a bug through', async () => {
    const {agent, plan, stage} = await scene({sendsTo: OLD, unreachable: new TypeError('a bug')})
    await expect(agent.rollback(plan, stage)).rejects.toThrow('a bug')
  })
})
