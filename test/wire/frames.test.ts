import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {serializeArp} from '../../src/wire/arp.ts'
import {WireError} from '../../src/wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_RARP, serializeEthernet} from '../../src/wire/ethernet.ts'
import {arpFrame, type Frame, icmpFrame, ipv4Header, parseFrame, tcpFrame, udpFrame} from '../../src/wire/frames.ts'
import {serializeIcmp} from '../../src/wire/icmp.ts'
import {PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, serializeIpv4} from '../../src/wire/ipv4.ts'
import {serializeTcp} from '../../src/wire/tcp.ts'
import {serializeUdp} from '../../src/wire/udp.ts'
import {captureFrames} from '../support/captures.ts'
import {anyArp, anyEthernet, anyIcmp, anyIpv4Header, anyTcp, anyUdp} from '../support/wire-values.ts'

const CAPTURES = ['arping', 'ping', 'traceroute', 'redirect', 'offload', 'vlan', 'dhcpcd', 'udhcpc']

/** Addresses of a frame, tagged or not. */
const link = anyEthernet.map(({payload: _, etherType: __, ...addresses}) => addresses)
/** Headers of whole packets: a fragment's payload is not looked into. */
const whole = anyIpv4Header.map((header) => ({...header, moreFragments: false, fragmentOffset: 0}))

describe('frames in one call', () => {
  it('are what the layers give one by one, and read back', () => {
    fc.assert(
      fc.property(link, whole, anyIcmp, anyUdp, anyTcp, anyArp, (addresses, packet, icmp, udp, tcp, arp) => {
        const around = (protocol: number, payload: Uint8Array): Uint8Array =>
          serializeEthernet({
            ...addresses,
            etherType: ETHERTYPE_IPV4,
            payload: serializeIpv4({...packet, protocol, payload}),
          })
        const ethernet = {...addresses, etherType: ETHERTYPE_IPV4}
        const ip = (protocol: number) => ({...packet, protocol})

        const echo = icmpFrame(addresses, packet, icmp)
        expect(echo).toEqual(around(PROTOCOL_ICMP, serializeIcmp(icmp)))
        expect(parseFrame(echo)).toEqual({kind: 'icmp', ethernet, ip: ip(PROTOCOL_ICMP), icmp})

        const datagram = udpFrame(addresses, packet, udp)
        expect(datagram).toEqual(around(PROTOCOL_UDP, serializeUdp(udp, packet)))
        expect(parseFrame(datagram)).toEqual({kind: 'udp', ethernet, ip: ip(PROTOCOL_UDP), udp})

        const segment = tcpFrame(addresses, packet, tcp)
        expect(segment).toEqual(around(PROTOCOL_TCP, serializeTcp(tcp, packet)))
        expect(parseFrame(segment)).toEqual({kind: 'tcp', ethernet, ip: ip(PROTOCOL_TCP), tcp})

        const request = arpFrame(addresses, arp)
        expect(request).toEqual(serializeEthernet({...addresses, etherType: ETHERTYPE_ARP, payload: serializeArp(arp)}))
        expect(parseFrame(request)).toEqual({kind: 'arp', ethernet: {...addresses, etherType: ETHERTYPE_ARP}, arp})
      }),
    )
  })

  it('have a header that says nothing special where nothing is said', () => {
    expect(ipv4Header(PROTOCOL_UDP, {source: '10.0.0.1', destination: '10.0.0.2'})).toEqual({
      dscp: 0,
      ecn: 0,
      identification: 0,
      dontFragment: true,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol: 17,
      source: '10.0.0.1',
      destination: '10.0.0.2',
      options: new Uint8Array(0),
    })
  })

  it('carry RARP too', () => {
    const arp = {
      operation: 3,
      senderMac: '02:00:00:00:00:10',
      senderIp: '0.0.0.0',
      targetMac: '02:00:00:00:00:10',
      targetIp: '0.0.0.0',
    }
    const frame = arpFrame({destination: 'ff:ff:ff:ff:ff:ff', source: arp.senderMac}, arp, ETHERTYPE_RARP)
    expect(frame).toHaveLength(60)
    expect(parseFrame(frame)).toMatchObject({kind: 'arp', ethernet: {etherType: ETHERTYPE_RARP}, arp})
  })
})

describe('frames taken apart', () => {
  it.each(CAPTURES)('are all understood: %s', (name) => {
    for (const {bytes} of captureFrames(name)) {
      const frame = parseFrame(bytes)
      expect(frame.kind).not.toBe('other')
      if (frame.kind === 'ipv4') expect(frame.ip.moreFragments || frame.ip.fragmentOffset > 0).toBe(true)
    }
  })

  it('keep the payload of fragments and of other protocols', () => {
    const kinds = CAPTURES.flatMap((name) => captureFrames(name).map(({bytes}) => parseFrame(bytes).kind))
    expect(kinds).toContain('ipv4')
    const other = serializeEthernet({
      destination: 'ff:ff:ff:ff:ff:ff',
      source: '02:00:00:00:00:10',
      etherType: 0x86dd,
      payload: new Uint8Array(46),
    })
    expect(parseFrame(other)).toMatchObject({kind: 'other', payload: new Uint8Array(46)})
  })

  it('share no memory with what was received', () => {
    for (const name of CAPTURES) {
      for (const {bytes} of captureFrames(name)) {
        const received = Buffer.from(bytes)
        const frame: Frame = parseFrame(received)
        received.fill(0xa5)
        expect(frame).toEqual(parseFrame(bytes))
      }
    }
  })

  it('are a value or a WireError, whatever is cut off or changed', () => {
    const frames = CAPTURES.flatMap((name) => captureFrames(name).map(({bytes}) => bytes))
    const answer = (bytes: Uint8Array): void => {
      try {
        parseFrame(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
      }
    }
    for (const bytes of frames)
      for (let length = 0; length < Math.min(bytes.length, 120); length++) answer(bytes.slice(0, length))
    fc.assert(
      fc.property(
        fc.constantFrom(...frames),
        fc.array(fc.tuple(fc.nat(120), fc.nat(255)), {maxLength: 4}),
        (bytes, edits) => {
          const changed = bytes.slice()
          for (const [at, value] of edits) changed[at % changed.length] = value
          answer(changed)
        },
      ),
      {numRuns: 1000},
    )
  })
})
