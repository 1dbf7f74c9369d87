import {describe, expect, it} from 'vitest'
import {type AgentConfig, parseAgentConfig} from '../../../src/domain/agent/config.ts'
import type {Way} from '../../../src/domain/agent/egress.ts'
import type {NicFacts, PolicyFacts} from '../../../src/domain/agent/facts.ts'
import {EMPTY_MEMORY, type SavedRoute, type SwitchRecord, used} from '../../../src/domain/agent/memory.ts'
import {decide} from '../../../src/domain/agent/policy.ts'
import {type AgentCommand, type AgentReason, newPrivateKey, publicKeyText} from '../../../src/wire/agent-message.ts'
import {usualWays} from './ways.ts'

const NOW = 1_790_000_000
const MAC = '02:00:00:00:00:10'

const configWith = (over: object = {}): AgentConfig =>
  parseAgentConfig(
    JSON.stringify({
      version: 1,
      vm: 'web-07',
      trusted: {
        'site-y': {
          key: publicKeyText(newPrivateKey()),
          gateways: ['10.0.0.2', '10.0.0.1', 'fd00::2', '10.8.0.1', 'fe80::2'],
        },
      },
      probes: ['203.0.113.10', '2001:db8::10'],
      ...over,
    }),
    'agent.yaml',
  )

const route = (over: Partial<SavedRoute> = {}): SavedRoute => ({
  ...{family: 4, table: 254, protocol: 3, metric: 0, gateway: '10.0.0.1', interfaceIndex: 2},
  ...{onlink: false, compound: false, raw: 'AAAA'},
  ...over,
})
const eth0: NicFacts = {
  ...{index: 2, name: 'eth0', mac: MAC, up: true},
  prefixes: [
    {family: 4, address: '10.0.0.10', length: 24},
    {family: 4, address: '10.0.0.11', length: 32},
    {family: 6, address: 'fd00::10', length: 61},
  ],
}
const eth1: NicFacts = {
  ...eth0,
  index: 3,
  name: 'eth1',
  mac: '02:00:00:00:00:11',
  prefixes: [{family: 4, address: '10.8.0.10', length: 24}],
}

function factsWith(over: Partial<PolicyFacts> = {}): PolicyFacts {
  const facts: PolicyFacts = {
    ...{nowMs: NOW * 1000, dmiUuid: 'aaaa', memory: EMPTY_MEMORY, nics: [eth0, eth1]},
    families: {
      4: {routes: [route()], overlay: undefined},
      6: {routes: [route({family: 6, gateway: 'fd00::1', metric: 1024})], overlay: undefined},
    },
    ownerOf: () => undefined,
    ...usualWays(() => facts.families),
    ...over,
  }
  return facts
}
const families4 = (
  routes: SavedRoute[],
  overlay?: {gateway: string; interfaceIndex: number},
): Partial<PolicyFacts> => ({
  families: {4: {routes, overlay}, 6: {routes: [], overlay: undefined}},
})

const commandWith = (over: Partial<AgentCommand> = {}): AgentCommand => ({
  ...{
    v: 1,
    op: 'switch',
    vm: 'web-07',
    run: 'r1',
    seq: 10,
    iat: NOW,
    exp: NOW + 60,
    nonce: 'AAAAAAAAAAAAAAAA',
    gw4: '10.0.0.2',
  },
  ...over,
})
const record = (over: Partial<SwitchRecord>): SwitchRecord => ({
  ...{kid: 'site-y', run: 'r0', seq: 9, nonce: 'BBBBBBBBBBBBBBBB', mode: 'replace', phase: 'done', state: 'confirmed'},
  ...{changes: [], probes: [], needsConfirm: false, drainMs: 0, startedAt: 0},
  ...over,
})
const seen = (seq: number, over: Partial<SwitchRecord> = {}): Partial<PolicyFacts> => ({
  memory: {...used(EMPTY_MEMORY, 'site-y', {seq, nonce: 'CCCCCCCCCCCCCCCC', exp: NOW + 60}, NOW), last: record(over)},
})

const movingWay: Way = {
  ...{kind: 'ordinary', what: 'what is sent', gateway: '10.0.0.1', interfaceIndex: 2, interfaceName: 'eth0'},
  ...{byDefault: true, route: 'the default route of the main table'},
}
const fixedWay: Way = {...movingWay, byDefault: false, route: 'a route of prefix length 1 in the main table'}
const tunnelledWay: Way = {...fixedWay, gateway: undefined, interfaceIndex: 9, interfaceName: 'wg0'}

type Row = [string, Partial<AgentCommand>, Partial<PolicyFacts>, object, AgentReason]
const refusals: Row[] = [
  ['another VM', {vm: 'web-08'}, {}, {}, 'wrong_vm'],
  ['a clone', {}, {dmiUuid: 'bbbb'}, {dmiUuid: 'AAAA'}, 'cloned'],
  ['a clone whose UUID cannot be read', {}, {dmiUuid: undefined}, {dmiUuid: 'aaaa'}, 'cloned'],
  ['a VM whose clock is 5 minutes behind', {}, {nowMs: (NOW - 300) * 1000}, {}, 'clock'],
  ['a VM whose clock is 5 minutes ahead', {}, {nowMs: (NOW + 300) * 1000}, {}, 'clock'],
  ['just out of the skew, early', {}, {nowMs: (NOW - 31) * 1000}, {}, 'clock'],
  ['just out of the skew, late', {}, {nowMs: (NOW + 91) * 1000}, {}, 'clock'],
  ['a command that is valid for a day', {exp: NOW + 86_400}, {}, {}, 'clock'],
  ['a command that ends before it begins', {exp: NOW - 1}, {}, {}, 'clock'],
  ['the last seq again', {seq: 10}, seen(10), {}, 'replayed'],
  ['an older seq', {seq: 3}, seen(10), {}, 'replayed'],
  ['a nonce again', {seq: 11, nonce: 'CCCCCCCCCCCCCCCC'}, seen(10), {}, 'nonce'],
  ['a switch during a switch', {}, seen(9, {phase: 'applied', state: 'applied'}), {}, 'busy'],
  ['a confirmation of another run', {op: 'confirm', run: 'r9'}, seen(9, {phase: 'applied'}), {}, 'no_switch'],
  ['a confirmation of nothing', {op: 'confirm'}, {}, {}, 'no_switch'],
  [
    'a confirmation of what was rolled back',
    {op: 'confirm', run: 'r0'},
    seen(9, {state: 'rolled_back'}),
    {},
    'no_switch',
  ],
  ['a confirmation of what is not applied', {op: 'confirm', run: 'r0'}, seen(9, {phase: 'probing'}), {}, 'no_switch'],
  ["a rollback of another key's switch", {op: 'rollback', run: 'r0'}, seen(9, {kid: 'site-x'}), {}, 'no_switch'],
  [
    "a confirmation of another key's switch",
    {op: 'confirm', run: 'r0'},
    seen(9, {kid: 'site-x', phase: 'applied', state: 'applied'}),
    {},
    'no_switch',
  ],
  ['a rollback of nothing', {op: 'rollback'}, {}, {}, 'no_switch'],
  ['no default route', {}, families4([]), {}, 'interface'],
  ['a MAC that is not here', {mac: '02:00:00:00:00:99'}, {}, {}, 'interface'],
  ['a NIC that is down', {mac: MAC}, {nics: [{...eth0, up: false}]}, {}, 'interface'],
  ['a NIC without a default route', {mac: eth1.mac}, {}, {}, 'interface'],
  ['a NIC that is not listed', {}, {}, {interfaces: [{mac: eth1.mac}]}, 'interface'],
  ['another gateway in use', {from_gw4: '10.0.0.7'}, {}, {}, 'from_gw'],
  ['a gateway that the key may not choose', {gw4: '10.0.0.3'}, {}, {}, 'gateway_not_allowed'],
  ['a gateway in no prefix', {gw4: '10.8.0.1'}, {}, {}, 'gateway_off_link'],
  ['a mode that the configuration does not have', {mode: 'drain'}, {}, {mode: 'rule'}, 'mode'],
  [
    'replacing one of two routes of a metric',
    {gw6: 'fd00::2', gw4: undefined as never, mode: 'replace'},
    {
      families: {
        4: {routes: [], overlay: undefined},
        6: {
          routes: [route({family: 6, gateway: 'fd00::1'}), route({family: 6, gateway: 'fd00::3', interfaceIndex: 3})],
          overlay: undefined,
        },
      },
    },
    {},
    'mode',
  ],
  [
    'replacing a route with several next hops',
    {},
    families4([route({interfaceIndex: 0, gateway: undefined, compound: true})]),
    {},
    'mode',
  ],
  [
    'a rule over a spare NIC',
    {mac: eth1.mac, gw4: '10.8.0.1', mode: 'rule'},
    families4([route(), route({interfaceIndex: 3, gateway: '10.8.0.2', metric: 9})]),
    {},
    'mode',
  ],
  [
    'replacing under a rule',
    {mode: 'replace'},
    families4([route()], {gateway: '10.0.0.3', interfaceIndex: 2}),
    {},
    'mode',
  ],
  ['a route or a rule that keeps everything where it is', {}, {waysOf: () => [fixedWay]}, {}, 'mode'],
  ['traffic of which a half stays', {}, {waysOf: () => [movingWay, fixedWay]}, {}, 'mode'],
  ['a default route that nothing takes', {}, {waysOf: () => [tunnelledWay]}, {}, 'mode'],
  [
    'the gateway of the default route, where all goes by another',
    {gw4: '10.0.0.1'},
    {waysOf: () => [{...fixedWay, gateway: '10.0.0.2'}]},
    {},
    'mode',
  ],
  ['a probe that the old gateway takes in any case', {}, {waysTo: () => [fixedWay]}, {}, 'no_probe'],
  ['nothing to prove it by', {}, {}, {probes: []}, 'no_probe'],
  ['probes on-link only', {probe: ['10.0.0.77']}, {}, {}, 'no_probe'],
  ['probes of the other family only', {probe: ['2001:db8::10']}, {}, {}, 'no_probe'],
]

describe('a command is refused', () => {
  it.each(refusals)('%s', (_name, command, facts, config, reason) => {
    const decision = decide(commandWith(command), 'site-y', configWith(config), factsWith(facts))
    expect(decision).toMatchObject({accept: false, reason})
    expect((decision as {detail: string}).detail).toMatch(/\w/)
  })

  it('by the first check that fails', () => {
    // Everything is wrong with it; one thing after the other is put right.
    const bad = commandWith({
      vm: 'web-08',
      iat: NOW + 900,
      exp: NOW + 960,
      seq: 5,
      gw4: '10.0.0.3',
      from_gw4: '10.0.0.7',
    })
    const facts = factsWith(seen(10, {phase: 'applied'}))
    const fixes: [Partial<AgentCommand>, Partial<PolicyFacts>, AgentReason][] = [
      [{}, {}, 'wrong_vm'],
      [{vm: 'web-07'}, {}, 'clock'],
      [{iat: NOW, exp: NOW + 60}, {}, 'replayed'],
      [{seq: 11}, {}, 'busy'],
      [{}, seen(10), 'from_gw'],
      [{from_gw4: '10.0.0.1'}, {}, 'gateway_not_allowed'],
    ]
    let [command, state] = [bad, facts]
    for (const [fix, change, reason] of fixes) {
      command = {...command, ...fix}
      state = {...state, ...change}
      expect(decide(command, 'site-y', configWith(), state)).toMatchObject({accept: false, reason})
    }
  })

  it('without using up its number where it may not be meant for us', () => {
    for (const [_name, command, facts, config, reason] of refusals) {
      const decision = decide(commandWith(command), 'site-y', configWith(config), factsWith(facts))
      expect((decision as {consumes: boolean}).consumes).toBe(
        !['wrong_vm', 'cloned', 'clock', 'replayed'].includes(reason),
      )
    }
  })
})

describe('a command is accepted', () => {
  const planOf = (command: Partial<AgentCommand>, facts: Partial<PolicyFacts> = {}, config: object = {}) =>
    decide(commandWith(command), 'site-y', configWith(config), factsWith(facts))

  it.each<[string, Partial<AgentCommand>, Partial<PolicyFacts>, object, object]>([
    ['replace for a plain route', {}, {}, {}, {mode: 'replace', owner: undefined}],
    ['rule where somebody owns it', {}, {ownerOf: () => 'networkd'}, {}, {mode: 'rule', owner: 'networkd'}],
    ['replace in spite of an owner, if told to', {mode: 'replace'}, {ownerOf: () => 'dhcpcd'}, {}, {mode: 'replace'}],
    ['the mode of the interface', {}, {}, {interfaces: [{mac: MAC, mode: 'drain'}]}, {mode: 'drain'}],
    [
      'a NIC that shares its MAC with what it is made of: the one with the default route of the family',
      {mac: MAC, gw6: 'fd00::2', probe: ['203.0.113.10', '2001:db8::10']},
      {
        nics: [{...eth0, index: 5, name: 'slave'}, eth0, {...eth0, index: 7, name: 'vlan'}, eth1],
        families: {
          4: {routes: [route({metric: 9, interfaceIndex: 3}), route({metric: 50})], overlay: undefined},
          6: {routes: [route({family: 6, gateway: 'fd00::1', interfaceIndex: 7})], overlay: undefined},
        },
      },
      {},
      {
        families: [
          expect.objectContaining({family: 4, nic: expect.objectContaining({name: 'eth0'})}),
          expect.objectContaining({family: 6, nic: expect.objectContaining({name: 'vlan'})}),
        ],
      },
    ],
    [
      'rule over a rule',
      {},
      families4([route()], {gateway: '10.0.0.3', interfaceIndex: 2}),
      {},
      {mode: 'rule', families: [expect.objectContaining({from: '10.0.0.3', overlay: '10.0.0.3'})]},
    ],
    [
      'both families',
      {gw6: 'FD00:0::2'},
      {},
      {},
      {families: [expect.objectContaining({family: 4}), expect.objectContaining({family: 6, to: 'fd00::2'})]},
    ],
    [
      'a link-local gateway',
      {gw4: undefined as never, gw6: 'fe80::2'},
      {},
      {},
      {families: [expect.objectContaining({to: 'fe80::2'})]},
    ],
    ['a confirmation instead of a probe', {confirm_s: 5}, {}, {probes: []}, {probes: []}],
    [
      'its own probes, those on-link left out',
      {probe: ['10.0.0.9', '198.51.100.1', 'fd00:0:0:7::1']},
      {},
      {},
      {probes: ['198.51.100.1']},
    ],
  ])('%s', (_name, command, facts, config, plan) => {
    expect(planOf(command, facts, config)).toMatchObject({accept: true, op: 'switch', plan})
  })

  it('within the skew at both ends', () => {
    for (const nowS of [NOW - 30, NOW, NOW + 60, NOW + 90]) {
      expect(planOf({}, {nowMs: nowS * 1000})).toMatchObject({accept: true})
    }
  })

  it('a query always, a rollback of what was confirmed, a confirmation twice', () => {
    expect(planOf({op: 'query'})).toEqual({accept: true, op: 'query'})
    expect(planOf({op: 'rollback', run: 'r0'}, seen(9))).toEqual({accept: true, op: 'rollback'})
    expect(planOf({op: 'confirm', run: 'r0'}, seen(9))).toEqual({accept: true, op: 'confirm'})
  })
})

describe('a gateway that is in use', () => {
  const both = {gw4: '10.0.0.2', gw6: 'fd00::2', from_gw4: '10.0.0.1'} as const
  const on = (gateway4: string, gateway6: string): Partial<PolicyFacts> => ({
    families: {
      4: {routes: [route({gateway: gateway4})], overlay: undefined},
      6: {routes: [route({family: 6, gateway: gateway6, metric: 1024})], overlay: undefined},
    },
  })
  const decided = (command: Partial<AgentCommand>, facts: Partial<PolicyFacts>, config: object = {}) =>
    decide(commandWith(command), 'site-y', configWith(config), factsWith(facts))

  it('is left alone, whatever was said to be in use, and needs no probe', () => {
    expect(decided(both, on('10.0.0.2', 'fd00::2'), {probes: []})).toEqual({
      ...{accept: true, op: 'already'},
      detail: '10.0.0.2 and fd00::2 is in use already: nothing was touched',
    })
  })

  it('in one family only, keeps the other from nothing', () => {
    const planned = decided(both, on('10.0.0.1', 'fd00::2'))
    expect(planned).toMatchObject({op: 'switch', plan: {families: [{family: 4, from: '10.0.0.1', to: '10.0.0.2'}]}})
  })

  it('is for those to say who may choose it', () => {
    expect(decided({gw4: '10.0.0.3'}, on('10.0.0.3', 'fd00::1'))).toMatchObject({reason: 'gateway_not_allowed'})
  })

  it('under a tunnel is in use by that', () => {
    const facts = {...on('10.0.0.2', 'fd00::1'), waysOf: () => [tunnelledWay]}
    expect(decided({}, facts)).toMatchObject({op: 'already'})
  })
})

it('of two routers that advertise themselves, the one that the kernel takes is in use', () => {
  const routes = ['fe80::1', 'fe80::9'].map((gateway) => route({family: 6, gateway, metric: 1024}))
  const six = {routes, overlay: undefined, inUse: {gateway: 'fe80::9', interfaceIndex: 2}}
  const facts = factsWith({families: {4: {routes: [], overlay: undefined}, 6: six}})
  const ways = (): Way[] => [{...movingWay, gateway: 'fe80::9'}]
  const command = commandWith({gw4: undefined as never, gw6: 'fe80::2', mode: 'rule'})
  expect(decide(command, 'site-y', configWith(), {...facts, waysOf: ways, waysTo: ways})).toMatchObject({
    plan: {families: [{from: 'fe80::9', route: {gateway: 'fe80::9'}}]},
  })
})
