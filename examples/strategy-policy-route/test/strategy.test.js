// The strategy without a network, in the world that gwswitch lends: npm run build && npm test.
import assert from 'node:assert/strict'
import {test} from 'node:test'
import {Failure} from 'gwswitch'
import {ethernetInterface, fakeWorld, segmentOf} from 'gwswitch/testing'
import {policyRoute} from '../dist/policy-route.js'

const [X, Y] = ['02:00:00:00:0a:02', '02:00:00:00:0b:02']
const gateways = [
  {name: 'bx', site: 'x', segment: 'tenant-b', ip: '10.1.0.1', mac: X},
  {name: 'by', site: 'y', segment: 'tenant-b', ip: '10.1.0.2', mac: Y},
]
const [from, to] = gateways
const switchover = {
  vm: {name: 'db-03', segment: 'tenant-b', ip: '10.1.0.10', mac: '02:00:00:00:01:10', strategies: [], site: undefined},
  segment: {name: 'tenant-b', prefix: {address: '10.1.0.0', length: 24}, gateways},
  from,
  to,
  sites: [{name: 'y', prefixes: [], probes: ['203.0.113.1'], dciRttMs: undefined}],
}
const legs = [
  ethernetInterface({name: 'seg', mac: X, addresses: [{ip: '10.1.0.1', prefixLength: 24}]}),
  ethernetInterface({name: 'up0', mac: '02:00:00:00:0a:03', addresses: [{ip: '172.16.1.1', prefixLength: 30}]}),
]
const routes = [{gateway: '172.16.1.2', interface: 'up0', source: '172.16.1.1'}]

/** A router with its tables, the VM behind it, and what becomes of the VM's packets by these tables. */
function scene({gatewayMac = X, silent = false, beyond = 'answers', dead = false, ignores = false, rule = null} = {}) {
  const rules = new Map(rule === null ? [] : [['10.1.0.10', rule]])
  const tables = {
    read: async ({ip}) => rules.get(ip) ?? null,
    write: async ({ip}, via) => void (via === null ? rules.delete(ip) : rules.set(ip, via)),
  }
  const vm = {ip: '10.1.0.10', mac: '02:00:00:00:01:10', gatewayMac, silent, heard: (mac) => mac === X}
  const world = fakeWorld({
    interfaces: legs,
    routes,
    onSend: segmentOf(vm, [{ip: '10.1.0.2', mac: Y, beyond, dead}], '10.1.0.1'),
  })
  const deliver = world.deliver
  world.deliver = (frame, afterMs, packetType) => {
    deliver(frame, afterMs, packetType)
    const text = Buffer.from(frame).toString('hex')
    const fromVm = text.startsWith(X.replaceAll(':', '')) && text.slice(52, 60) === '0a01000a'
    if (!fromVm || ignores) return
    // The router passes on what came in: to the next hop of the rule, else upstream.
    const next = rules.get('10.1.0.10') === undefined ? 'ffffffff0001' : Y.replaceAll(':', '')
    deliver(Buffer.from(next + text.slice(12), 'hex'), (afterMs ?? 0.1) + 0.1, 'outgoing')
  }
  const stage = {world, signal: new AbortController().signal, observe: () => {}}
  return {strategy: policyRoute(tables), stage, rules, world}
}

const planned = (strategy, world, over = {}) => strategy.plan({...switchover, ...over}, {}, world)

test('a VM is led to the other gateway, seen to leave by it, and led back', async () => {
  const {strategy, stage, rules, world} = scene()
  const {plan, uses, ends} = await strategy.look(await planned(strategy, world), stage)
  assert.deepEqual([uses?.name, ends, plan.before], ['bx', null, null])
  assert.deepEqual(rules.size, 0, 'the look changes nothing')
  const seen = await strategy.execute(plan, stage)
  assert.deepEqual([...rules], [['10.1.0.10', '10.1.0.2']])
  const verdict = await strategy.verify(plan, stage, seen)
  assert.deepEqual([verdict.code, verdict.ok, verdict.uses?.name], ['served', true, 'by'])
  // Another process reads the plan, and may do so twice.
  for (let i = 0; i < 2; i++) {
    const back = await strategy.rollback(JSON.parse(JSON.stringify(plan)), stage)
    assert.deepEqual([back.ok, back.code, back.uses?.name, rules.size], [true, 'elsewhere', 'bx', 0])
  }
  assert.equal(world.openLinks, 0)
})

for (const [what, over, code, uses] of [
  ['a VM that is off', {silent: true}, 'silent', null],
  ['a VM that uses another gateway', {gatewayMac: Y}, 'elsewhere', null],
  ['a gateway that is dead', {dead: true}, 'target-dead', 'bx'],
  ['a gateway without a way on', {beyond: 'refuses'}, 'target-dead', 'bx'],
  ['a VM that is led there already', {rule: '10.1.0.2'}, 'already', 'by'],
])
  test(`${what} ends the switch before anything is done: ${code}`, async () => {
    const {strategy, stage, rules, world} = scene(over)
    const before = [...rules]
    const {ends} = await strategy.look(await planned(strategy, world), stage)
    assert.deepEqual([ends?.code, ends?.uses?.name ?? null], [code, uses])
    assert.deepEqual([...rules], before)
  })

for (const [what, over, code] of [
  ['packets that are not seen to leave', {ignores: true}, 'unverified'],
  ['silence beyond the gateway', {beyond: 'silent'}, 'unverified'],
])
  test(`${what} are no proof: ${code}`, async () => {
    const {strategy, stage, world} = scene(over)
    const {plan, ends} = await strategy.look(await planned(strategy, world), stage)
    assert.equal(ends, null)
    const verdict = await strategy.verify(plan, stage, await strategy.execute(plan, stage))
    assert.deepEqual([verdict.code, verdict.ok], [code, false])
  })

test('back to the router itself: the rule goes', async () => {
  const {strategy, world} = scene({rule: '10.1.0.2'})
  const plan = await planned(strategy, world, {from: to, to: from})
  assert.equal(plan.via, null)
  assert.match(strategy.describe(plan)[0], /^take the rule for what comes from db-03 \(10\.1\.0\.10\) away from bx/)
})

for (const [what, over, message] of [
  [
    'a host that is no gateway',
    {segment: {...switchover.segment, gateways: [to]}},
    /this host is no gateway of tenant-b/,
  ],
  [
    'gateways with one address',
    {segment: {...switchover.segment, gateways: [from, {...to, ip: '10.1.0.1'}]}},
    /the sites share 10\.1\.0\.1 on tenant-b/,
  ],
])
  test(`${what} cannot make it, and says why`, async () => {
    const {strategy, world} = scene()
    await assert.rejects(
      planned(strategy, world, over),
      (error) => error instanceof Failure && error.kind === 'usage' && message.test(error.message),
    )
  })
