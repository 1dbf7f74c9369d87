// Inputs that a reader did not stand once, by name. What `npm run fuzz` finds becomes a row here.
import {utf8} from './target.ts'

export interface NamedFind {
  /** What is special about the input. */
  readonly name: string
  /** Name of the target. */
  readonly target: string
  readonly input: Uint8Array
}

const hex = (target: string, name: string, text: string): NamedFind => ({
  target,
  name,
  input: Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex')),
})
const json = (target: string, name: string, value: unknown): NamedFind => ({
  target,
  name,
  input: utf8(JSON.stringify(value)),
})

/** An extension structure with one MPLS label, its checksum right. */
const MPLS = '20003df3 0008 01 01 0002a101'
const QUOTED = (bytes: number): string => '60'.repeat(bytes)

/** One name, 8,000 pointers each to the one before, and 20,000 to the last of them. */
function longChain(): Uint8Array {
  const pointer = (to: number): number[] => [0xc0 | (to >>> 8), to & 0xff]
  const chain = Array.from({length: 8000}, (_, i) => pointer(i === 0 ? 0 : 1 + 2 * i))
  const again = Array.from({length: 20_000}, () => pointer(1 + 2 * 8000))
  return Uint8Array.from([1, 0x61, 0, ...chain.flat(), ...again.flat()])
}

const keaConfig = (Dhcp4: unknown): unknown => ({result: 0, arguments: {Dhcp4}})
const keaSubnet = (over: object): unknown => keaConfig({subnet4: [{id: 7, subnet: '10.0.0.0/24', ...over}]})

export const FINDS: readonly NamedFind[] = [
  hex('icmp', 'the RFC 4884 length lies beyond the message', `0b00dc3e 00a90000 ${QUOTED(128)} ${MPLS}`),
  hex('icmp', 'the RFC 4884 length is below 128', `0b00f1f8 00040000 ${QUOTED(16)} ${MPLS}`),
  {target: 'domain names', name: 'a long chain of pointers, many times', input: longChain()},

  hex('netlink route', 'a table of two bytes', '02000000fe100001 00000000 06000f00fe00'),
  hex('netlink rule', 'a mark of no bytes', '02000000fe000001 00000000 04000a00'),
  hex('netlink link', 'a header that is cut', '0000010002'),
  hex('netlink link', 'an event of one byte', '0000010002000000 4310010000000000 05002c0004'),
  hex('netlink error', 'no errno', '0000'),
  hex(
    'sqlite wal',
    'pages of 516 bytes, in a header whose checksum is right',
    `377f0682 002de218 00000204 00000000 01020304 05060708 e0ce0514a4aee2be 00000001 00000001 01020304 05060708 ${'00'.repeat(524)}`,
  ),

  {
    target: 'inventory',
    name: 'a mapping as a key, of which Node would warn',
    input: utf8('version: 1\n{ name: rx }: y\n'),
  },
  json('agent state', 'a key of which nothing is kept', {version: 1, keys: {'site-y': null}, answered: []}),

  json('ip neigh', 'no list', {dst: '10.0.0.1'}),
  json('ip neigh', 'null for an entry', [null]),
  json('ip neigh', 'states that are no list', [{dst: '10.0.0.1', state: 'REACHABLE'}]),
  json('ip route match', 'a destination that is no text', [{dst: 4}, {dst: 'default'}]),
  json('ip link', 'flags that are no list', [
    {ifname: 'a', master: 'b', flags: 1, linkinfo: {info_slave_kind: 'bridge'}},
  ]),

  json('nft json', 'a name that is no text', {nftables: [{set: {name: {toString: 1}}}]}),
  json('nft json', 'a handle that is no number', {nftables: [{rule: {chain: 'a', handle: {toString: 1}}}]}),

  json('guest interfaces', 'null', null),
  json('guest interfaces', 'an object in place of the list', {return: {}}),
  json('guest interfaces', 'a MAC that is no text', {return: [{name: 'eth0', 'hardware-address': 7}]}),
  json('guest interfaces', 'an error that is null', {error: null}),
  json('guest interfaces', 'an error whose words are no text', {error: {desc: 7}}),
  json('guest program', 'no pid', {return: null}),
  json('guest program', 'no status', [{return: {pid: 7}}, {return: null}]),
  json('guest program', 'output that is no text', [{return: {pid: 7}}, {return: {exited: true, 'out-data': 7}}]),

  json('kea config', 'null', null),
  json('kea config', 'no arguments', {result: 0}),
  json('kea config', 'subnets that are no list', keaConfig({subnet4: {}})),
  json('kea config', 'a subnet without a prefix', keaConfig({subnet4: [{id: 7}]})),
  json('kea config', 'a MAC that is no text', keaSubnet({reservations: [{'hw-address': 7}]})),
  json(
    'kea config',
    'an option that is null',
    keaSubnet({reservations: [{'hw-address': '02:00:00:00:00:10', 'option-data': [null]}]}),
  ),
  json('kea commands', 'no list', {result: 0}),
  {
    ...{target: 'dhcp peer', name: 'a time beyond all numbers'},
    input: utf8(
      '{"self":{"server":"10.0.0.4","segment":"a"},"told":[{"directive":{"segment":"a","mac":"02:00:00:00:00:10","nak":true,"version":{"sequence":1,"origin":"10.0.0.4"}},"askSinceMs":1e999}]}',
    ),
  },
]
