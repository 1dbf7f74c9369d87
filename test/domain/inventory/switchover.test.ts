import {describe, expect, it} from 'vitest'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../../src/domain/inventory/switchover.ts'
import {closest, hint} from '../../../src/domain/suggest.ts'

const inventory = parseInventory(
  `version: 1
sites: {x: , y: , z: }
segments:
  a:
    prefix: 10.0.0.0/24
    gateways:
      - {name: rx, site: x, ip: 10.0.0.1, mac: "02:00:00:00:0a:01"}
      - {name: ry, site: y, ip: 10.0.0.2, mac: "02:00:00:00:0b:01"}
      - {name: rz, site: z, ip: 10.0.0.3, mac: "02:00:00:00:0c:01"}
  b:
    prefix: 10.1.0.0/24
    gateways:
      - {name: bx, site: x, ip: 10.1.0.254, mac: "02:00:00:00:0a:02"}
      - {name: by, site: y, ip: 10.1.0.254, mac: "02:00:00:00:0b:02"}
      - {name: by2, site: y, ip: 10.1.0.253, mac: "02:00:00:00:0b:03"}
  c:
    prefix: 10.2.0.0/24
    gateways:
      - {name: cy, site: y, ip: 10.2.0.1, mac: "02:00:00:00:0b:04"}
vms:
  web-07: {segment: a, ip: 10.0.0.10, mac: "02:00:00:00:00:10"}
  db-01: {segment: b, ip: 10.1.0.10, mac: "02:00:00:00:00:11"}
  lone: {segment: c, ip: 10.2.0.10, mac: "02:00:00:00:00:12"}
`,
  'inv.yaml',
)

describe('switch VM --to SITE', () => {
  it('leaves any gateway of the other sites for that of the site', () => {
    const choice = resolveSwitchover(inventory, {vm: 'web-07', to: 'y'})
    expect(choice.vm.ip).toBe('10.0.0.10')
    expect(choice.to.name).toBe('ry')
    expect(choice.from.map(({name}) => name)).toEqual(['rx', 'rz'])
  })

  it('takes the VM by address and the target by gateway', () => {
    const choice = resolveSwitchover(inventory, {vm: '10.1.0.10', to: 'by2'})
    expect(choice.to.ip).toBe('10.1.0.253')
    expect(choice.from.map(({name}) => name)).toEqual(['bx'])
  })

  it.each([
    [{vm: 'web-70', to: 'y'}, 'inv.yaml: no VM "web-70" (did you mean "web-07"?)'],
    [{vm: 'web-07', to: 'w'}, 'inv.yaml: no site "w" (known: x, y, z)'],
    [{vm: 'db-01', to: 'z'}, 'inv.yaml: segment b has no gateway at site z (want one under segments.b.gateways)'],
    [{vm: 'db-01', to: 'y'}, 'inv.yaml: segment b has several gateways at site y: name one (by, by2)'],
    [{vm: 'lone', to: 'y'}, 'inv.yaml: segment c has no gateway outside site y: nothing to leave'],
  ])('%j: %s', (request, message) => {
    expect(() => resolveSwitchover(inventory, request)).toThrow(message)
  })

  it('becomes a switchover from the gateway that is named, or the one to expect', () => {
    const choice = resolveSwitchover(inventory, {vm: 'web-07', to: 'y'})
    expect(switchoverFrom(choice, 'rz')).toMatchObject({from: {name: 'rz'}, to: {name: 'ry'}})
    expect(switchoverFrom(choice)).toMatchObject({from: {name: 'rx'}})
    expect(switchoverFrom({...choice, vm: {...choice.vm, site: 'z'}})).toMatchObject({from: {name: 'rz'}})
    const shared = choice.from.map((each) => (each.name === 'rz' ? {...each, ip: choice.to.ip} : each))
    expect(switchoverFrom({...choice, from: shared})).toMatchObject({from: {name: 'rz'}})
    expect(() => switchoverFrom(choice, 'ry')).toThrow('"ry" is not a gateway that web-07 could leave')
    expect(switchoverFrom(resolveSwitchover(inventory, {vm: 'db-01', to: 'by2'})).from.name).toBe('bx')
  })

  it('survives JSON: plans carry it', () => {
    const switchover = switchoverFrom(resolveSwitchover(inventory, {vm: 'web-07', to: 'y'}), 'rx')
    expect(JSON.parse(JSON.stringify(switchover))).toEqual(JSON.parse(JSON.stringify({...switchover})))
    expect(JSON.parse(JSON.stringify(switchover)).from).toEqual(switchover.from)
  })
})

describe('did you mean', () => {
  it.each([
    ['gatways', ['gateways', 'prefix'], 'gateways'],
    ['GATEWAYS', ['gateways'], 'gateways'],
    ['perfix', ['gateways', 'prefix'], 'prefix'],
    ['z', ['x', 'y'], undefined],
    ['something', ['gateways', 'prefix'], undefined],
    ['x', [], undefined],
  ])('%s of %j: %s', (word, candidates, expected) => expect(closest(word, candidates)).toBe(expected))

  it('names what is known if nothing is near', () => {
    expect(hint('q', ['x', 'y'])).toBe(' (known: x, y)')
    expect(hint('q', [])).toBe('')
  })
})
