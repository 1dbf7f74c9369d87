import {describe, expect, it} from 'vitest'
import {vlanTags} from '../../src/strategies/vlan-tags.ts'

const LINK = {
  ...{bridge: undefined, openVswitch: false, neighSuppress: false, vlanAware: false, tunnel: false},
  ...{vlanDevice: undefined, vlans: [] as number[], untaggedVlans: [] as number[]},
}
const VM = '02:00:00:00:01:10'
/** A bridge that keeps VLANs apart, with an access port of VLAN 100, a trunk, and itself in 100, tagged, and in 300. */
const AWARE = [
  {...LINK, name: 'br0', vlanAware: true, vlans: [100, 300], untaggedVlans: [300]},
  {...LINK, name: 'vnet0', bridge: 'br0', vlans: [100], untaggedVlans: [100]},
  {...LINK, name: 'trunk', bridge: 'br0', vlans: [100, 200, 300]},
]
const PLAIN = [
  {...LINK, name: 'br0'},
  {...LINK, name: 'vnet0', bridge: 'br0'},
]
const OF_BR0 = {portOf: 'br0', isBridge: false}
const IS_BRIDGE = {portOf: undefined, isBridge: true}

const tags = (
  name: string,
  place: typeof OF_BR0 | typeof IS_BRIDGE | {portOf: undefined; isBridge: false},
  vlan: number | 'untagged' | undefined,
  links: typeof PLAIN,
  learned: readonly {mac: string; vlan: number | undefined}[] = [],
) =>
  vlanTags(name, place, {name: 'tenant-b', vlan}, [VM], {
    hostLinks: async () => links,
    learned: async () => learned.map((each) => ({...each, port: 'vnet0', own: false, fixed: false})),
  })

describe('the tag of a segment', () => {
  it.each([
    [
      'is none at an access port, and is there at the bridge',
      tags('vnet0', OF_BR0, 100, AWARE),
      {tag: null, bridge: 100, id: 100},
    ],
    ['is there at a trunk and at the bridge', tags('trunk', OF_BR0, 100, AWARE), {tag: 100, bridge: 100, id: 100}],
    [
      'is there at a trunk, and none at the bridge',
      tags('trunk', OF_BR0, 300, AWARE),
      {tag: 300, bridge: null, id: 300},
    ],
    ['is there at the bridge itself', tags('br0', IS_BRIDGE, 100, AWARE), {tag: 100, bridge: null, id: 100}],
    [
      'cannot be at a bridge that is not in it',
      tags('trunk', OF_BR0, 200, AWARE),
      {tag: 200, bridge: 'br0 itself is not in VLAN 200', id: 200},
    ],
    [
      'is that of where the bridge has learned its MACs',
      tags('vnet0', OF_BR0, undefined, AWARE, [{mac: VM, vlan: 100}]),
      {tag: null, bridge: 100, id: 100},
    ],
    [
      'is not known where it has learned them in several',
      tags(
        'trunk',
        OF_BR0,
        undefined,
        AWARE,
        [100, 200].map((vlan) => ({mac: VM, vlan})),
      ),
      {tag: null, bridge: null},
    ],
    ['is none where the bridge keeps nothing apart', tags('vnet0', OF_BR0, 100, PLAIN), {tag: null, bridge: null}],
    ['is none where nobody has one', tags('vnet0', OF_BR0, 'untagged', AWARE), {tag: null, bridge: null}],
    ['is none off bridges', tags('eth0', {portOf: undefined, isBridge: false}, 100, AWARE), {tag: null, bridge: null}],
  ])('%s', async (_name, found, expected) => {
    expect(await found).toEqual(expected)
  })

  it('is refused at a port that is not in its VLAN', async () => {
    await expect(tags('vnet0', OF_BR0, 200, AWARE)).rejects.toThrow(
      'segment tenant-b: br0 keeps VLANs apart, and vnet0 is not in VLAN 200: -i trunk is',
    )
  })
})
