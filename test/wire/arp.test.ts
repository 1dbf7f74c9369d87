import {describe, expect, it} from 'vitest'
import {ARP_REPLY, ARP_REQUEST, parseArp, serializeArp, writeArp} from '../../src/wire/arp.ts'
import {ETHERTYPE_ARP} from '../../src/wire/ethernet.ts'
import {goldenOf, payloadOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyArp} from '../support/wire-values.ts'

const golden = goldenOf(['arping', 'ping', 'redirect', 'vlan'], (frame) => payloadOf(frame, ETHERTYPE_ARP))

describeCodec({
  name: 'arp',
  parse: parseArp,
  serialize: serializeArp,
  write: writeArp,
  golden,
  arbitrary: anyArp,
  minimum: 'whole',
})

describe('arp', () => {
  it('reads what arping announces with -U and -A', () => {
    const rx = {senderMac: '02:00:00:00:0a:01', senderIp: '10.0.0.1', targetIp: '10.0.0.1'}
    const all = goldenOf(['arping'], (frame) => payloadOf(frame, ETHERTYPE_ARP)).map(({bytes}) => parseArp(bytes))
    expect(all).toContainEqual({operation: ARP_REQUEST, ...rx, targetMac: 'ff:ff:ff:ff:ff:ff'})
    expect(all).toContainEqual({operation: ARP_REPLY, ...rx, targetMac: '02:00:00:00:0a:01'})
  })

  it('ignores Ethernet padding', () => {
    const padded = new Uint8Array(46)
    padded.set(golden[0]!.bytes)
    expect(parseArp(padded)).toEqual(parseArp(golden[0]!.bytes))
  })

  it.each([
    ['hardwareType', 0],
    ['protocolType', 2],
    ['hardwareLength', 4],
    ['protocolLength', 5],
  ])('speaks IPv4 over Ethernet only: %s', (field, offset) => {
    const bytes = golden[0]!.bytes.slice()
    bytes[offset]! ^= 0x40
    expect(() => parseArp(bytes)).toThrow(expect.objectContaining({reason: 'unsupported', offset}))
    expect(() => parseArp(bytes)).toThrow(field)
  })
})
