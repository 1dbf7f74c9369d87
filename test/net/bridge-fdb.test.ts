import {expect, it} from 'vitest'
import {AF_BRIDGE, parseFdb, parseLearned} from '../../src/net/netlink/neighbour-message.ts'
import {attribute, u32} from '../../src/net/netlink/netlink-message.ts'

const [PORT, BRIDGE] = [7, 3]
const mac = Uint8Array.of(2, 0, 0, 0, 1, 0x10)
/** An ndmsg with its attributes (neighbour.h): NDA_LLADDR 2, NDA_VLAN 5, NDA_MASTER 9. */
function entry(state: number, interfaceIndex: number, {vlan = 0, master = BRIDGE, family = AF_BRIDGE} = {}): Buffer {
  const header = Buffer.alloc(12)
  header[0] = family
  header.writeInt32LE(interfaceIndex, 4)
  header.writeUInt16LE(state, 8)
  return Buffer.concat([
    ...[header, attribute(2, mac)],
    ...(vlan === 0 ? [] : [attribute(5, Uint8Array.of(vlan, 0))]),
    ...(master === 0 ? [] : [attribute(9, u32(master))]),
  ])
}

const FACTS = {mac: '02:00:00:00:01:10', interfaceIndex: PORT, bridge: BRIDGE, vlan: undefined}
const [REACHABLE, NOARP, PERMANENT] = [2, 0x40, 0x80]

it.each([
  ['a station that was heard', entry(REACHABLE, PORT), {own: false, fixed: false}, true],
  ['one in a VLAN', entry(REACHABLE, PORT, {vlan: 7}), {vlan: 7, own: false, fixed: false}, true],
  ['one that was set by hand', entry(NOARP, PORT), {own: false, fixed: true}, false],
  ['the MAC of the bridge itself', entry(PERMANENT, BRIDGE), {interfaceIndex: BRIDGE, own: true, fixed: false}, false],
])("a bridge's table has %s", (_what, body, facts, isLearned) => {
  expect(parseFdb(body)).toEqual({...FACTS, ...facts})
  const {interfaceIndex, vlan} = parseFdb(body)!
  expect(parseLearned(body)).toEqual(isLearned ? {mac: FACTS.mac, interfaceIndex, vlan} : undefined)
})

it.each([
  ["a port's own table, where a VXLAN remembers hosts that have moved here", entry(REACHABLE, PORT, {master: 0})],
  ['a neighbour of this host', entry(REACHABLE, PORT, {family: 2})],
])('%s is not of it', (_what, body) => {
  expect(parseFdb(body)).toBeUndefined()
})
