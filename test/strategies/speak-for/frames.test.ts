// The frames in a VM's name, and whom they ask for what.
import {describe, expect, it} from 'vitest'
import type {Gateway} from '../../../src/domain/inventory/site.ts'
import {spokenFrames} from '../../../src/strategies/speak-for/frames.ts'
import {askedGateway, type SpeakPlan} from '../../../src/strategies/speak-for/plan.ts'

const X = '02:00:00:00:0a:02'
const Y = '02:00:00:00:0b:02'
const gateway = (name: string, mac: string, over: Partial<Gateway> = {}): Gateway => ({
  ...{name, segment: 's', site: name, ip: '10.1.0.254', mac},
  ...over,
})

const plan = (over: Partial<SpeakPlan['gateway']> = {}): SpeakPlan => ({
  vm: {name: 'db-03', ip: '10.1.0.10', ip6: ['2001:db8:1::10'], mac: '02:00:00:00:01:10'},
  ...{port: 'vnet0', vlan: null, leg: null, scheduleMs: [0]},
  gateway: {name: 'by', mac: Y, ip: '10.1.0.254', ip6: 'fe80::b', ...over},
})
const hex = (of: SpeakPlan) => spokenFrames(of).map(({bytes}) => Buffer.from(bytes).toString('hex'))

describe("the frames in a VM's name", () => {
  it('are an ARP request and a solicitation for the gateway, and an advertisement for everybody', () => {
    expect(hex(plan())).toEqual([
      // who-has 10.1.0.254 tell 10.1.0.10, to the gateway alone.
      '020000000b02020000000110080600010800060400010200000001100a01000a0000000000000a0100fe000000000000000000000000000000000000',
      // Neighbour solicitation for fe80::b from 2001:db8:1::10, with the VM's MAC as source.
      '020000000b0202000000011086dd6000000000203aff20010db8000100000000000000000010fe80000000000000000000000000000b870049b200000000fe80000000000000000000000000000b0101020000000110',
      // Neighbour advertisement, R=0 S=0 O=1, to all nodes.
      '33330000000102000000011086dd6000000000203aff20010db8000100000000000000000010ff0200000000000000000000000000018800f7fb2000000020010db80001000000000000000000100201020000000110',
    ])
  })

  it('go to everybody where the MAC of the gateway is not known, and leave out what has no address to ask for', () => {
    expect(hex(plan({mac: null})).map((each) => each.slice(0, 12))).toEqual([
      ...['ffffffffffff', '3333ff00000b', '333300000001'],
    ])
    expect(spokenFrames(plan({ip: null, ip6: null})).map(({kind}) => kind)).toEqual(['advertisement'])
  })
})

describe('the address that is asked for', () => {
  const bx = gateway('bx', X, {ownIp: '10.1.0.252', ip6: ['fe80::1', '2001:db8:1::1', '2001:db8:1::2']})
  const by = gateway('by', Y, {ip6: ['fe80::1', '2001:db8:1::1', '2001:db8:1::3']})
  it.each<[string, Gateway, readonly Gateway[], boolean, string | null, string | null]>([
    ['its own one, where the other is shared', bx, [bx, by], true, '10.1.0.252', '2001:db8:1::2'],
    ['the shared one, where the VM is to use it', by, [bx, by], true, '10.1.0.254', '2001:db8:1::3'],
    ['none, where the VM must not be moved', by, [bx, by], false, null, '2001:db8:1::3'],
    ['the only one', gateway('ry', Y, {ip: '10.0.0.2'}), [bx], false, '10.0.0.2', null],
    [
      'one that all sites have at one MAC',
      gateway('ga', X),
      [gateway('ga', X), gateway('gb', X)],
      false,
      '10.1.0.254',
      null,
    ],
    [
      'a shared IPv6 one, where it has no other',
      gateway('by', Y, {ip6: ['fe80::1']}),
      [bx],
      true,
      '10.1.0.254',
      'fe80::1',
    ],
  ])('is %s', (_, of, all, mayMove, ip, ip6) => {
    expect(askedGateway(of, all, mayMove)).toMatchObject({ip, ip6})
  })
})
