import {describe, expect, it} from 'vitest'
import {parseNftTables, readNftJson} from '../../../src/net/nft/nft-listing.ts'

/** What nft 1.0.6 prints for a table, as it is read: instructions, JSON, text. */
const PRINTED = String.raw`netdev t @gw
	element 0200000a  : 1 [end]
	element 0100000a  : 0 [end]
netdev t @kept
	element 0a00000a 00000002 00001000  : 0 [end]
netdev t @__set0
	element 0300000a  : 0 [end]
	element 0200000a  : 0 [end]
netdev t gwlocal 5
  [ meta load protocol => reg 1 ]
  [ cmp eq reg 1 0x00000608 ]
  [ counter pkts 7 bytes 294 ]
  [ immediate reg 0 drop ]
  userdata = { \x00\x06asked\x00 }
netdev t gwlocal 8 5
  [ lookup reg 1 set __set0 0x0 ]
  [ immediate reg 0 drop ]

{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}, {"table": {"family": "netdev", "name": "t", "handle": 1, "flags": "netdev"}}, {"set": {"family": "netdev", "name": "gw", "table": "t", "type": "ipv4_addr", "handle": 3, "flags": ["interval"], "elem": ["10.0.0.1"]}}, {"set": {"family": "netdev", "name": "kept", "table": "t", "type": ["ipv4_addr", "ether_addr"], "handle": 4, "elem": [{"concat": ["10.0.0.10", "02:00:00:00:00:10"]}]}}, {"chain": {"family": "netdev", "table": "t", "name": "gwlocal", "handle": 1}}, {"chain": {"family": "netdev", "table": "t", "name": "in", "handle": 2, "type": "filter", "hook": "ingress", "prio": -300, "policy": "accept"}}, {"rule": {"family": "netdev", "table": "t", "chain": "gwlocal", "handle": 5, "comment": "asked", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "protocol"}}, "right": "arp"}}, {"counter": {"packets": 7, "bytes": 294}}, {"drop": null}]}}, {"rule": {"family": "netdev", "table": "t", "chain": "gwlocal", "handle": 8, "expr": [{"drop": null}]}}]}
table netdev t {
	flags dormant

	set gw {
		type ipv4_addr
		flags interval
		auto-merge
		elements = { 10.0.0.1 }
	}

	set kept {
		type ipv4_addr . ether_addr
		elements = { 10.0.0.10 . 02:00:00:00:00:10 }
	}

	chain gwlocal {
		meta protocol arp counter packets 7 bytes 294 drop comment "asked"
	}

	chain in {
		type filter hook ingress devices = { d1, d0 } priority -300; policy accept;
	}
}
`

describe('a table of nft', () => {
  it('has its rules as instructions, with comments and counters, and sets without a name written out', () => {
    expect(parseNftTables(PRINTED).get('t')!.rules).toEqual([
      {
        chain: 'gwlocal',
        comment: 'asked',
        code: expect.stringMatching(
          /^\[ meta load protocol => reg 1 \]\n.*\n\[ counter \]\n\[ immediate reg 0 drop \]\n/,
        ),
        counter: {packets: 7, bytes: 294},
      },
      {
        chain: 'gwlocal',
        comment: undefined,
        code: '[ lookup reg 1 set { 0200000a  : 0 [end], 0300000a  : 0 [end] } ]\n[ immediate reg 0 drop ]',
        counter: undefined,
      },
    ])
  })

  it('has the elements of its sets, as they are written and as the kernel holds them', () => {
    const {elements, sets} = parseNftTables(PRINTED).get('t')!
    expect([...elements]).toEqual([
      ['gw', ['10.0.0.1']],
      ['kept', ['10.0.0.10 . 02:00:00:00:00:10']],
    ])
    expect([...sets]).toEqual([
      ['gw', ['0100000a  : 0 [end]', '0200000a  : 1 [end]']],
      ['kept', ['0a00000a 00000002 00001000  : 0 [end]']],
    ])
  })

  it('is declared with what the JSON leaves out too: sleeping tables, merging sets, devices', () => {
    const {declarations, devices} = parseNftTables(PRINTED).get('t')!
    expect(declarations).toEqual([
      'chain gwlocal',
      'chain in: devices d0, d1',
      'chain in: type filter hook ingress prio -300 policy accept',
      'set gw: auto-merge',
      'set gw: type ipv4_addr flags ["interval"]',
      'set kept: type ["ipv4_addr","ether_addr"]',
      'table t',
      'table t: flags dormant',
    ])
    expect(devices).toEqual(['d0', 'd1'])
    const one = PRINTED.replace('devices = { d1, d0 }', 'device "d0"')
    expect(parseNftTables(one).get('t')!.devices).toEqual(['d0'])
  })

  it.each([
    ['', 'is no JSON'],
    ['table netdev t {\n}\n', 'is no JSON'],
    ['{"nftables": [', 'is no JSON'],
    ['{"nftables": 1}', 'has no "nftables"'],
  ])('is not read out of %j', (output, why) => {
    expect(() => parseNftTables(output)).toThrow(why)
  })

  it('is read without what is no object of nft', () => {
    expect(readNftJson('{"nftables": [null, 1, {"rule": 2}, {"set": {"name": "s"}}]}')).toEqual([
      {kind: 'set', body: {name: 's'}},
    ])
  })
})
