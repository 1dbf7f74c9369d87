// What `who` concludes from what was found out about a VM.
import {describe, expect, it} from 'vitest'
import type {Segment, Vm} from '../../src/domain/inventory/site.ts'
import {type Found, judgeVm, type WhoGateway, type WhoRow, whoDocument} from '../../src/domain/who.ts'

const [BX, BY, NOBODY] = ['02:00:00:00:0a:02', '02:00:00:00:0b:02', '02:00:00:00:0e:0e']
const vm: Vm = {name: 'db-03', segment: 's', ip: '10.1.0.10', mac: '02:00:00:00:01:10', strategies: [], site: undefined}
const segment: Segment = {
  name: 's',
  prefix: {address: '10.1.0.0', length: 24},
  gateways: [
    {name: 'bx', segment: 's', site: 'x', ip: '10.1.0.254', mac: BX},
    {name: 'by', segment: 's', site: 'y', ip: '10.1.0.254', mac: BY},
  ],
}
const found = (over: Partial<Found>): Found => ({mac: undefined, by: undefined, entry: undefined, alive: true, ...over})
const gateway = (code: WhoGateway['code']): WhoGateway => ({
  ...{name: 'by', site: 'y', mac: BY, segment: 's', family: 4, code, evidence: ''},
})
const judge = (over: Partial<Found>, code: WhoGateway['code'] = 'served', site: string | undefined = 'y'): WhoRow =>
  judgeVm({vm, ip: vm.ip, segment, site, found: found(over), gateways: [gateway(code)]})

describe('a VM', () => {
  it.each<[string, Partial<Found>, WhoGateway['code'], string, string]>([
    [
      'sends its packets to the gateway of its site',
      {mac: BY, by: 'off-segment-echo'},
      'served',
      'as-expected',
      'served',
    ],
    ['sends its own packets there', {mac: BY, by: 'own-frames'}, 'served', 'as-expected', 'served'],
    ['has its MAC, and nothing that leaves was seen', {mac: BY, by: 'echo'}, 'served', 'as-expected', 'unverified'],
    ['has the MAC of a dead gateway', {mac: BY, by: 'echo'}, 'target-dead', 'as-expected', 'target-dead'],
    ['sends to a dead gateway', {mac: BY, by: 'off-segment-echo'}, 'target-dead', 'as-expected', 'target-dead'],
    ["sends to another site's", {mac: BX, by: 'off-segment-echo', entry: BY}, 'served', 'other-site', 'elsewhere'],
    ['sends to no gateway', {mac: NOBODY, by: 'off-segment-echo'}, 'served', 'stranger', 'elsewhere'],
    ['is there, and sends nothing here', {}, 'served', 'unseen', 'unverified'],
    ['says nothing', {alive: false}, 'served', 'silent', 'silent'],
  ])('that %s', (_name, over, code, verdict, proof) => {
    expect(judge(over, code)).toMatchObject({
      verdict,
      code: proof,
      entry: over.entry ?? null,
      provedBy: over.by ?? null,
    })
  })

  it('of which nobody knows the site is not judged', () => {
    expect(
      judgeVm({vm, ip: vm.ip, segment, site: undefined, found: found({mac: BX, by: 'echo'}), gateways: []}),
    ).toMatchObject({verdict: 'no-site', code: 'unverified'})
  })
})

describe('the exit code', () => {
  const good = judge({mac: BY, by: 'off-segment-echo'})
  const stranger = {mac: NOBODY, ip: '10.1.0.254', segment: 's', text: ''}
  it.each<[string, readonly WhoRow[], Parameters<typeof whoDocument>[0]['strangers'], WhoGateway['code'], number]>([
    ['all are as expected', [good], [], 'served', 0],
    ['nobody is here', [], [], 'served', 11],
    ['one is silent', [good, judge({alive: false})], [], 'served', 11],
    ['a stranger speaks', [good], [stranger], 'served', 11],
    ["one uses another site's", [judge({alive: false}), judge({mac: BX, by: 'echo'})], [stranger], 'served', 10],
    ['a gateway in use is dead', [judge({mac: BX, by: 'echo'})], [], 'target-dead', 12],
  ])('where %s', (_name, rows, strangers, code, exitCode) => {
    const absent = [{segment: 't', vms: 3, text: ''}]
    expect(whoDocument({ports: ['br0'], rows, gateways: [gateway(code)], strangers, absent}).exitCode).toBe(exitCode)
  })

  it.each<[string, WhoRow, string, string, number]>([
    ['to the gateway that it should use', good, BY, 'served', 0],
    ['to another', good, BX, 'unverified', 11],
    ['to another, and uses a dead one', judge({mac: BY, by: 'own-frames'}, 'target-dead'), BX, 'target-dead', 11],
    ["back from another site's", judge({mac: BX, by: 'own-frames'}), BY, 'elsewhere', 10],
  ])('where a bridge redirects a VM %s', (_name, row, to, proof, exitCode) => {
    const redirected = [{vm: row.vm.name, from: NOBODY, to, text: ''}]
    const document = whoDocument({
      ...{ports: ['br0'], rows: [row], gateways: [gateway('served')], strangers: [], absent: []},
      redirected,
    })
    expect(document).toMatchObject({rows: [{verdict: row.verdict, code: proof}], redirected, exitCode})
    const others = whoDocument({...document, redirected: [{...redirected[0]!, vm: 'another VM'}], rows: [good]})
    expect(others.exitCode).toBe(0)
  })
})
