import {describe, expect, it} from 'vitest'
import {parseProxyRecord, proxyRecordText, withoutVms, withRedirect} from '../../../src/domain/mac-proxy/record.ts'
import {type Redirect, redirectRuleset, redirectsIn} from '../../../src/domain/mac-proxy/ruleset.ts'

const RX = {name: 'rx', site: 'x', mac: '02:00:00:00:0a:01'}
const RY = {name: 'ry', site: 'y', mac: '02:00:00:00:0b:01'}
const redirect = (name: string, mac: string, to = RY): Redirect => ({
  ...{vm: {name, mac}, port: 'vnet0', prefix: '10.0.0.0/24', from: [{...RX, ip6: ['fe80::1']}], to},
  ...{isBridge: false, ipv6: true},
})
const web = redirect('web-07', '02:00:00:00:00:10')
const db = redirect('db-03', '02:00:00:00:01:10')

describe('the record of redirections', () => {
  it('reads back as it was written, and is none where there is nothing to keep', () => {
    expect(parseProxyRecord(proxyRecordText([web, db])!, 'f')).toEqual([web, db])
    expect(proxyRecordText([])).toBeUndefined()
  })

  it.each(['', '{}', '{"version": 2, "redirects": []}', '{"version": 1, "redirects": [{}]}'])(
    'is not read out of %j',
    (text) => expect(() => parseProxyRecord(text, 'f')).toThrow('f: is no record of redirections'),
  )

  it('has one a VM', () => {
    const other = redirect('web-07', web.vm.mac, {...RY, mac: '02:00:00:00:0c:01'})
    expect(withRedirect([web, db], other)).toEqual([db, other])
    expect(withoutVms([web, db], [web.vm.mac])).toEqual([db])
  })
})

describe('the rules of redirections', () => {
  /** As far as nft(8) is told. */
  const rulesOf = (each: Redirect) =>
    [...redirectRuleset(each).matchAll(/^add rule bridge gwswitch_proxy (vm_\w+) .*comment "(.*)"$/gm)].map(
      ([, chain = '', comment]) => ({chain, comment, counter: {packets: 3}}),
    )

  it('say what they redirect, all of a VM together', () => {
    expect(rulesOf(web)).toHaveLength(2)
    expect(redirectsIn([...rulesOf(web), ...rulesOf(db)])).toEqual([
      {vm: web.vm.mac, from: RX.mac, to: RY.mac, packets: 6},
      {vm: db.vm.mac, from: RX.mac, to: RY.mac, packets: 6},
    ])
  })

  it.each([
    ['from_vms', `${RX.mac} > ${RY.mac}`],
    ['vm_02', `${RX.mac} > ${RY.mac}`],
    ['vm_020000000010', 'somebody else'],
    ['vm_020000000010', undefined],
  ])('of chain %s with the comment %s are none', (chain, comment) => {
    expect(redirectsIn([{chain, comment, counter: undefined}])).toEqual([])
  })
})
