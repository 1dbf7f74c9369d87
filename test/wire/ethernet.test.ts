import {describe, expect, it} from 'vitest'
import {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_VLAN,
  type Ethernet,
  ethernetLength,
  parseEthernet,
  serializeEthernet,
  writeEthernetHeader,
} from '../../src/wire/ethernet.ts'
import {captureFrames, goldenOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyEthernet} from '../support/wire-values.ts'

describeCodec({
  name: 'ethernet',
  parse: parseEthernet,
  serialize: (frame) => serializeEthernet(frame, 0),
  write(frame, out, offset) {
    writeEthernetHeader(frame, out, offset)
    out.set(frame.payload, offset + ethernetLength(frame))
  },
  golden: goldenOf(['arping', 'redirect', 'vlan']),
  arbitrary: anyEthernet,
  minimum: (bytes) => (bytes[12] === 0x81 && bytes[13] === 0 ? 18 : 14),
})

const FRAME: Ethernet = {
  destination: 'ff:ff:ff:ff:ff:ff',
  source: '02:00:00:00:0a:01',
  etherType: ETHERTYPE_ARP,
  payload: new Uint8Array(28).fill(1),
}

describe('ethernet', () => {
  it('reads the tag that a switch put on', () => {
    const tagged = captureFrames('vlan').map(({bytes}) => parseEthernet(bytes))
    expect(tagged.map(({vlan, etherType}) => [vlan?.id, vlan?.priority, etherType])).toEqual(
      expect.arrayContaining([
        [10, 5, ETHERTYPE_ARP],
        [10, 0, ETHERTYPE_ARP],
        [10, 5, ETHERTYPE_IPV4],
      ]),
    )
  })

  it('pads the payload to 46 bytes with zeros, behind a tag too', () => {
    const bytes = serializeEthernet(FRAME)
    expect(bytes).toHaveLength(60)
    expect(bytes.slice(42)).toEqual(new Uint8Array(18))
    expect(serializeEthernet({...FRAME, vlan: {id: 10, priority: 0, dropEligible: false}})).toHaveLength(64)
  })

  it('refuses a length in place of an EtherType, in and out', () => {
    const bpdu = serializeEthernet(FRAME)
    bpdu.set([0, 39], 12)
    expect(() => parseEthernet(bpdu)).toThrow(expect.objectContaining({reason: 'unsupported', offset: 12}))
    expect(() => serializeEthernet({...FRAME, etherType: 39})).toThrow(
      expect.objectContaining({reason: 'out-of-range'}),
    )
  })

  it('refuses what has no bytes: a tag type without a tag, a VLAN or priority out of range', () => {
    const vlan = {id: 10, priority: 0, dropEligible: false}
    for (const frame of [
      {...FRAME, etherType: ETHERTYPE_VLAN},
      {...FRAME, vlan: {...vlan, id: 4096}},
      {...FRAME, vlan: {...vlan, priority: 8}},
      {...FRAME, source: '02:00:00:00:0a'},
      {...FRAME, etherType: 0x1_0000},
    ]) {
      expect(() => serializeEthernet(frame)).toThrow(expect.objectContaining({reason: 'out-of-range'}))
    }
  })

  it('keeps a second tag as payload', () => {
    const inner = {...FRAME, vlan: {id: 1, priority: 2, dropEligible: true}, etherType: ETHERTYPE_VLAN}
    expect(parseEthernet(serializeEthernet(inner, 0))).toEqual(inner)
  })
})
