import {describe, expect, it} from 'vitest'
import {parseInterface} from '../../../src/net/netlink/interface-message.ts'
import {attribute, u32} from '../../../src/net/netlink/netlink-message.ts'

/** RTM_NEWLINK of an Ethernet interface that is up, with its IFLA_LINKINFO (if_link.h). */
const link = (...info: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from([0, 0, 1, 0, 7, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0]),
    attribute(3, Buffer.from('v100\0')),
    attribute(1, Buffer.from([2, 0, 0, 0, 0x0b, 2])),
    attribute(4, u32(1500)),
    attribute(18, Buffer.concat(info)),
  ])
const kind = (name: string): Buffer => attribute(1, Buffer.from(`${name}\0`))
const data = (...attributes: readonly Buffer[]): Buffer => attribute(2, Buffer.concat(attributes))
const number16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8])

describe('an interface as the kernel tells of it', () => {
  it.each([
    ['a VLAN device', [kind('vlan'), data(attribute(5, u32(1)), attribute(1, number16(100)))], 100],
    ['one of the last VLAN', [kind('vlan'), data(attribute(1, number16(4094)))], 4094],
    ['another kind, whose data mean something else', [kind('macvlan'), data(attribute(1, u32(4)))], undefined],
    ['one without any', [kind('veth')], undefined],
  ])('%s has the VLAN that it says', (_what, info, vlan) => {
    expect(parseInterface(link(...info))).toMatchObject({
      ...{name: 'v100', index: 7, mac: '02:00:00:00:0b:02', up: true, carrier: true, ethernet: true, vlan},
    })
  })

  it('with a VLAN that is cut is refused', () => {
    expect(() => parseInterface(link(kind('vlan'), data(attribute(1, Buffer.of(1)))))).toThrow('needs 2 bytes')
  })
})
