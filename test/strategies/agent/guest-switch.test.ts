// What a guest is asked in a switch, and what its answers mean: step by step, with a guest in memory.
import {describe, expect, it} from 'vitest'
import type {AgentTarget, Standing, SwitchOrder} from '../../../src/strategies/agent/conversation.ts'
import {step} from '../../../src/strategies/agent/guest-switch.ts'
import {
  type GuestAsk,
  type GuestEvent,
  type GuestOrder,
  type GuestPhase,
  guestSwitch,
} from '../../../src/strategies/agent/guest-turn.ts'
import {
  BEYOND4,
  BEYOND6,
  ETH0,
  FILE,
  type GuestFacts,
  guest,
  NEW4,
  NEW6,
  OLD4,
  OLD6,
  order,
  order46,
  ROUTE4,
  ROUTE6,
  target,
} from './guest.ts'

/** A switch of this guest; every question takes a second. */
function switching(
  given: SwitchOrder = order(),
  over: Partial<GuestFacts> = {},
  of: AgentTarget = target(),
  vm = guest(over),
) {
  let state = guestSwitch(of, given)
  let nowMs = 0
  const said: string[] = []
  const phases: string[] = []
  const happen = (event: GuestEvent): GuestAsk | Standing | undefined => {
    const done = step(state, event, nowMs)
    state = done.state
    phases.push(state.phase.kind)
    let last: GuestAsk | Standing | undefined
    for (const action of done.actions) {
      // Nothing follows a question, or the end.
      expect(last).toBeUndefined()
      if (action.kind === 'say') said.push(action.text)
      else last = action.kind === 'done' ? action.standing : action
    }
    return last
  }
  const answer = (question: GuestAsk): GuestEvent => {
    nowMs += 1000
    if (question.kind === 'interfaces') return {kind: 'interfaces', nics: vm.facts.nics}
    if (question.kind === 'run') return {kind: 'ran', argv: question.argv, result: vm.run(question.argv)}
    vm.start(question.argv)
    return {kind: 'started'}
  }
  return {
    vm,
    said,
    phases,
    happen,
    /** Until it is over, or until that phase, where the guest's agent goes away. */
    carryOut(kind: GuestOrder, silentIn?: GuestPhase['kind']): Standing {
      for (let event: GuestEvent = {kind}; ; ) {
        const next: GuestAsk | Standing = happen(event)!
        if ('timing' in next) return next
        event = phases.at(-1) === silentIn ? {kind: 'failed', state: 'silent', detail: 'gone'} : answer(next)
      }
    },
  }
}

const GET4 = 'ip -4 route get 192.0.0.8'
const REPLACE4 = `ip -4 route replace default via ${NEW4} dev eth0 proto static metric 100`

describe('begin', () => {
  it('reads, asks the gateway, arms the way back, changes, reads back, probes, and reads once more', () => {
    const one = switching()
    expect(one.carryOut('begin')).toEqual({
      state: 'applied',
      reason: null,
      detail: null,
      gateways: {v4: NEW4, v6: null},
      mode: 'replace',
      attempts: 8,
      timing: {receivedMs: null, appliedMs: 7000, confirmedMs: null, agentApplyMs: null, agentConfirmMs: null},
    })
    expect(one.vm.lines).toEqual([
      'ip -4 route show',
      `ping -c 1 -W 2 -I eth0 ${NEW4}`,
      `ip neigh show ${NEW4} dev eth0`,
      `sh ${FILE} -4 route replace ${ROUTE4}`,
      `sh ${FILE} 30 &`,
      REPLACE4,
      GET4,
      `ping -c 1 -W 2 ${BEYOND4}`,
      GET4,
    ])
    expect(one.phases).toEqual([
      'finding_nic',
      'reading_route',
      'asking_gateway',
      'reading_neighbour',
      'saving',
      'arming',
      'applying',
      'reading_gateways',
      'probing',
      'reading_gateways',
      'idle',
    ])
    expect(one.said).toEqual([
      `ping -c 1 -W 2 -I eth0 ${NEW4}: it ended with code 1`,
      `armed: it goes back by itself in 30 s (ip -4 route replace ${ROUTE4})`,
      REPLACE4,
      `ping -c 1 -W 2 ${BEYOND4}`,
      `read back: uses ${NEW4}`,
    ])
    expect([...one.vm.files.keys()]).toEqual([FILE])
  })

  it('changes both families, and neither before the way back of both is armed', () => {
    const {carryOut, vm} = switching(order46())
    expect(carryOut('begin')).toMatchObject({state: 'applied', gateways: {v4: NEW4, v6: NEW6}})
    expect(vm.files.get(FILE)).toBe(`-4 route replace ${ROUTE4}\n-6 route replace ${ROUTE6}`)
    const armed = vm.lines.indexOf(`sh ${FILE} 30 &`)
    const changes = vm.lines.flatMap((line, i) => (/^ip -. route replace/.test(line) ? [i] : []))
    expect(changes).toEqual([armed + 1, armed + 2])
    expect(vm.lines).toContain(`ping -6 -c 1 -W 2 -I eth0 ${NEW6}`)
  })

  it('leaves a family alone that is not ordered, and one without a probe unprobed', () => {
    const only6 = switching(order({to: {v4: null, v6: NEW6}, from: {v4: null, v6: null}}))
    expect(only6.carryOut('begin')).toMatchObject({state: 'applied', gateways: {v4: null, v6: NEW6}})
    expect(only6.vm.gateways()).toEqual([OLD4, NEW6])
    expect(only6.vm.lines.filter((line) => line.includes(BEYOND4))).toEqual([])
  })

  it('decides by its probes where no confirmation is wanted, any of which is enough', () => {
    const {carryOut, vm, said} = switching(order({confirmS: 0, probes: ['198.51.100.9', BEYOND4]}))
    expect(carryOut('begin')).toMatchObject({state: 'confirmed', timing: {appliedMs: 7000, confirmedMs: 12_000}})
    expect([vm.files.size, vm.gateways()[0], said.at(-1)]).toEqual([0, NEW4, 'confirmed: it does not go back any more'])
    // Until we have looked.
    expect(vm.lines).toContain(`sh ${FILE} 20 &`)
  })

  it('takes a link-local gateway for one on the link', () => {
    const neighbours = {'fe80::2': 'fe80::2 lladdr 02:00:00:00:0b:01 router STALE'}
    const given = order({to: {v4: null, v6: 'fe80::2'}, from: {v4: null, v6: null}})
    expect(switching(given, {neighbours}).carryOut('begin')).toMatchObject({state: 'applied'})
  })

  it('finds the NIC by the address of the VM where it has no MAC, and among those that share it', () => {
    const bond = {...ETH0, name: 'bond0'}
    const routes = {4: [ROUTE4.replace('eth0', 'bond0')], 6: []}
    const nics = [{...ETH0, addresses: []}, bond]
    expect(switching(order(), {nics, routes}).carryOut('begin')).toMatchObject({state: 'applied'})
    const byAddress = [{...ETH0, mac: undefined}]
    expect(switching(order(), {nics: byAddress}, target({mac: null})).carryOut('begin').state).toBe('applied')
    expect(switching(order(), {nics: byAddress}).carryOut('begin').detail).toMatch(/no interface in web-07 has MAC/)
  })
})

describe('what cannot be done is refused, and nothing is changed', () => {
  const routes = (...lines: string[]) => ({routes: {4: lines, 6: []}})
  it.each<[string, Partial<SwitchOrder>, Partial<GuestFacts>, RegExp]>([
    ['mode', {mode: 'drain'}, {}, /can only replace the route: drain needs gwswitch agent/],
    ['no_probe', {confirmS: 0, probes: []}, {}, /no probe beyond the gateway/],
    ['no_probe', {confirmS: 0, to: {v4: NEW4, v6: NEW6}}, {}, /no probe beyond the gateway/],
    ['interface', {}, {nics: []}, /no interface in web-07 has MAC 02:00:00:00:00:10/],
    ['interface', {}, routes(), /no IPv4 default route/],
    ['interface', {}, routes(ROUTE4.replace('eth0', 'eth1')), /goes out of eth1, not through a gateway on eth0/],
    ['interface', {}, routes('default dev eth0 scope link'), /not through a gateway on eth0/],
    ['mode', {}, routes('default proto static', '\tnexthop via 10.0.0.1 dev eth0 weight 1'), /several next hops/],
    ['mode', {}, routes(ROUTE4, ROUTE4.replace(OLD4, '10.0.0.3')), /2 IPv4 default routes have metric 100/],
    ['from_gw', {from: {v4: '10.0.0.9', v6: null}}, {}, /the gateway in use is 10\.0\.0\.1, not 10\.0\.0\.9/],
    ['gateway_off_link', {to: {v4: '10.9.0.2', v6: null}}, {}, /10\.9\.0\.2 is in no prefix of eth0/],
    [
      'gateway_off_link',
      {to: {v4: null, v6: 'fd00:0:0:1::2'}, from: {v4: null, v6: null}},
      {},
      /is in no prefix of eth0/,
    ],
    ['gateway_silent', {}, {neighbours: {}}, /10\.0\.0\.2 does not answer ARP on eth0/],
    ['gateway_silent', {}, {neighbours: {[NEW4]: `${NEW4} FAILED`}}, /does not answer ARP/],
    ['gateway_silent', {}, {neighbours: {[NEW4]: `${NEW4} lladdr 02:00:00:00:0b:01 INCOMPLETE`}}, /answer ARP/],
    ['persist_failed', {}, {failing: [`sh ${FILE} -4`]}, /\/run\/gwswitch-r1 in the guest: \/bin\/sh: no/],
  ])('%s (%o, %o)', (reason, given, facts, detail) => {
    const {carryOut, vm} = switching(order(given), facts)
    const before = vm.facts.routes[4].join()
    expect(carryOut('begin')).toMatchObject({state: 'refused', reason, detail: expect.stringMatching(detail)})
    expect(vm.facts.routes[4].join()).toBe(before)
    expect(vm.lines.filter((line) => /replace|&$/.test(line) && !line.startsWith('sh'))).toEqual([])
    expect(vm.files.size).toBe(0)
  })

  it('also where only the second family cannot', () => {
    const {carryOut, vm} = switching(order46({to: {v4: NEW4, v6: 'fd00::9'}}))
    expect(carryOut('begin')).toMatchObject({
      state: 'refused',
      detail: 'fd00::9 does not answer ND on eth0',
      gateways: {v4: OLD4, v6: OLD6},
    })
    expect(vm.files.size).toBe(0)
  })
})

describe('what goes wrong once it is armed is taken back', () => {
  it.each<[string, Partial<SwitchOrder>, Partial<GuestFacts>, RegExp]>([
    ['apply_failed', {}, {failing: [REPLACE4]}, /^ip: no$/],
    ['apply_failed', {}, {failing: [`ip -6 route replace default via ${NEW6}`]}, /^ip: no$/],
    ['apply_failed', {}, {sendsTo: '10.0.0.3'}, /the guest sends to 10\.0\.0\.3, not to 10\.0\.0\.2/],
    ['apply_failed', {}, {failing: ['ip -4 route get']}, /the guest sends to nobody/],
    ['probe_failed', {}, {answer: [BEYOND6]}, /nothing beyond 10\.0\.0\.2 answers \(198\.51\.100\.1\)/],
    ['probe_failed', {}, {answer: [BEYOND4]}, /nothing beyond fd00::2 answers \(2001:db8::1\)/],
    ['probe_failed', {confirmS: 0}, {answer: []}, /nothing beyond/],
    [
      'probe_failed',
      {probes: [BEYOND4, '198.51.100.2', BEYOND6]},
      {answer: []},
      /answers \(198\.51\.100\.1, 198\.51\.100\.2\)/,
    ],
  ])('%s (%o, %o)', (reason, given, facts, detail) => {
    const {carryOut, vm} = switching(order46(given), facts)
    expect(carryOut('begin')).toMatchObject({state: 'rolled_back', reason, detail: expect.stringMatching(detail)})
    expect(vm.gateways()).toEqual([OLD4, OLD6])
    expect(vm.files.size).toBe(0)
  })
})

describe('confirm', () => {
  const begun = (over: Partial<SwitchOrder> = {}) => {
    const one = switching(order(over))
    one.carryOut('begin')
    one.vm.lines.length = 0
    return one
  }

  it('disarms first, and counts only if the guest still uses the new gateway then', () => {
    const {carryOut, vm} = begun()
    expect(carryOut('confirm')).toMatchObject({
      state: 'confirmed',
      reason: null,
      gateways: {v4: NEW4},
      attempts: 11,
      timing: {appliedMs: 7000, confirmedMs: 12_000},
    })
    expect(vm.lines).toEqual([`rm ${FILE}`, GET4, GET4])
  })

  it.each<[string, (vm: ReturnType<typeof guest>) => void]>([
    ['the guest has gone back', (vm) => vm.goesBack()],
    ['the guest is about to go back', (vm) => vm.files.delete(FILE)],
    ['another route is in front', (vm) => void Object.assign(vm.facts, {sendsTo: '10.0.0.3'})],
  ])('comes too late where %s', (_, happened) => {
    const {carryOut, vm, said} = begun()
    happened(vm)
    expect(carryOut('confirm')).toMatchObject({
      state: 'rolled_back',
      reason: 'not_confirmed',
      timing: {confirmedMs: null},
    })
    expect(said).not.toContain('confirmed: it does not go back any more')
  })

  it('counts only if it holds for both families', () => {
    const {carryOut, vm} = switching(order46())
    carryOut('begin')
    vm.facts.routes[6] = [ROUTE6]
    expect(carryOut('confirm')).toMatchObject({
      state: 'rolled_back',
      reason: 'not_confirmed',
      gateways: {v4: NEW4, v6: OLD6},
    })
  })
})

describe('roll_back', () => {
  const begun = (given: SwitchOrder = order46()) => {
    const one = switching(given)
    one.carryOut('begin')
    one.vm.lines.length = 0
    return one
  }
  const TAKEN_BACK = {state: 'rolled_back', reason: 'requested', gateways: {v4: OLD4, v6: OLD6}}

  it('runs what was saved, and then there is nothing for the guest to run', () => {
    const {carryOut, vm} = begun()
    expect(carryOut('roll_back')).toMatchObject(TAKEN_BACK)
    expect(vm.lines.slice(0, 4)).toEqual([
      `cat ${FILE}`,
      `ip -4 route replace ${ROUTE4}`,
      `ip -6 route replace ${ROUTE6}`,
      `rm -f ${FILE}`,
    ])
    expect(vm.files.size).toBe(0)
  })

  it('writes the old gateways into what is there where nothing is saved any more', () => {
    const {carryOut, vm} = begun()
    carryOut('confirm')
    vm.facts.routes[6] = [`default via ${NEW6} dev eth0 metric 200 mtu 1400`]
    expect(carryOut('roll_back')).toMatchObject(TAKEN_BACK)
    expect(vm.facts.routes[6]).toEqual([`default via ${OLD6} dev eth0 metric 200 mtu 1400`])
    expect(carryOut('roll_back')).toMatchObject(TAKEN_BACK)
  })

  it('is another process’s too, which need not know the gateways before', () => {
    const {vm} = begun()
    const other = switching(order46({from: {v4: null, v6: null}}), {}, target(), vm)
    expect(other.carryOut('roll_back')).toMatchObject(TAKEN_BACK)
  })

  it('that leaves one family at the new gateway is none', () => {
    const {carryOut, vm} = begun(order46({from: {v4: OLD4, v6: null}}))
    carryOut('confirm')
    expect(carryOut('roll_back')).toMatchObject({
      state: 'applied',
      reason: 'apply_failed',
      detail: 'the guest still sends to the new gateway',
      gateways: {v4: OLD4, v6: NEW6},
    })
    expect(vm.gateways()).toEqual([OLD4, NEW6])
  })

  it('leaves a route alone that somebody has given a third gateway since', () => {
    const {carryOut, vm} = begun()
    carryOut('confirm')
    vm.facts.routes[4] = [ROUTE4.replace(OLD4, '10.0.0.3')]
    expect(carryOut('roll_back')).toMatchObject({state: 'rolled_back', gateways: {v4: '10.0.0.3', v6: OLD6}})
  })
})

describe('a guest whose agent goes away', () => {
  it.each([
    'finding_nic',
    'reading_route',
    'asking_gateway',
    'reading_neighbour',
    'saving',
    'arming',
    'applying',
    'reading_gateways',
    'probing',
    'disarming',
  ] as const)('is silent (%s), and nothing is known of its gateways', (phase) => {
    const one = switching(order46({confirmS: 0}))
    expect(one.carryOut('begin', phase)).toMatchObject({
      state: 'silent',
      reason: null,
      detail: 'gone',
      gateways: {v4: null, v6: null},
    })
    expect(one.phases.at(-1)).toBe('idle')
    // Whatever was done by then, it can be taken back.
    expect(one.carryOut('roll_back')).toMatchObject({state: 'rolled_back', gateways: {v4: OLD4, v6: OLD6}})
  })

  it('is asked nothing any more: an answer then is a mistake of ours', () => {
    const {happen} = switching()
    const result = {code: 0, stdout: '', stderr: ''}
    for (const late of [
      {kind: 'started'},
      {kind: 'interfaces', nics: []},
      {kind: 'ran', argv: ['ip'], result},
    ] as const)
      expect(() => happen(late)).toThrow(`"${late.kind}" is no answer to idle`)
  })
})

it('remembers when the agent answered first', () => {
  const {happen, carryOut} = switching()
  expect(happen({kind: 'opened'})).toBeUndefined()
  expect(carryOut('begin').timing).toMatchObject({receivedMs: 0, appliedMs: 7000})
})
