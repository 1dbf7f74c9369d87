import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {readClientSighting} from '../../../src/strategies/dhcp/client-watch.ts'
import {readClientSighting6} from '../../../src/strategies/dhcp/client-watch6.ts'
import {forcerenewFrame} from '../../../src/strategies/dhcp/forcerenew.ts'
import {readPrefix} from '../../../src/wire/address.ts'
import {reconfigureNonce, serializeForcerenew} from '../../../src/wire/dhcp-auth.ts'
import {DHCPACK, type DhcpOption, dhcpOptions, writeOption} from '../../../src/wire/dhcp-options.ts'
import {arpFrame} from '../../../src/wire/frames.ts'
import {answerFrame, CLIENT, NONCE, requestFrame, SERVER} from './support.ts'

const received = (bytes: Uint8Array) => ({bytes, timestampNs: 5n, packetType: 'host'}) as const
const ACK = answerFrame({...CLIENT, xid: 9}, DHCPACK, [
  writeOption(dhcpOptions.router, ['10.0.0.2', '10.0.0.3']),
  writeOption(dhcpOptions.renewalTime, 10),
  writeOption(dhcpOptions.leaseTime, 3600),
  writeOption(dhcpOptions.authentication, reconfigureNonce(1n, NONCE)),
])
const REQUEST = requestFrame({...CLIENT, xid: 9})

describe('what is seen of a DHCP client', () => {
  it('is its REQUEST, the ACK with router, nonce and times, and whom it asks for', () => {
    expect(readClientSighting(received(REQUEST))).toEqual({
      kind: 'request',
      atNs: 5n,
      mac: CLIENT.mac,
      xid: 9,
      ip: CLIENT.ip,
      discover: false,
      traits: {kind: undefined, canListen: true},
    })
    expect(readClientSighting(received(ACK))).toEqual({
      kind: 'ack',
      atNs: 5n,
      mac: CLIENT.mac,
      xid: 9,
      ip: CLIENT.ip,
      router: '10.0.0.2',
      serverId: SERVER.ip,
      nonce: NONCE,
      leaseS: 3600,
      renewS: 10,
      replay: 1n,
    })
    const asks = arpFrame(
      {destination: 'ff:ff:ff:ff:ff:ff', source: CLIENT.mac},
      {operation: 1, senderMac: CLIENT.mac, senderIp: CLIENT.ip, targetMac: '00:00:00:00:00:00', targetIp: '10.0.0.2'},
    )
    expect(readClientSighting(received(asks))).toMatchObject({kind: 'arp-request', mac: CLIENT.mac, target: '10.0.0.2'})
  })

  it.each([
    ['option 3', [writeOption(dhcpOptions.router, ['10.0.0.2'])], '10.0.0.2'],
    [
      'the default route of option 121, which goes before option 3',
      ['0.0.0.0/0 10.0.0.9', '10.7.0.0/16 10.0.0.8'],
      '10.0.0.9',
    ],
    ['none, where option 121 has no default route', ['10.7.0.0/16 10.0.0.8'], undefined],
    ['none', [], undefined],
  ] as const)('takes the router from %s', (_, given, router) => {
    const options: DhcpOption[] = given.filter((each) => typeof each !== 'string')
    const routes = given
      .filter((each) => typeof each === 'string')
      .map((text) => {
        const [prefix = '', via = ''] = text.split(' ')
        return {prefix: readPrefix(prefix)!, router: via}
      })
    if (routes.length > 0) {
      options.push(writeOption(dhcpOptions.router, ['10.0.0.2']), writeOption(dhcpOptions.classlessStaticRoute, routes))
    }
    const ack = answerFrame({...CLIENT, xid: 9}, DHCPACK, options)
    expect(readClientSighting(received(ack))).toMatchObject({kind: 'ack', router})
  })

  it("is another server's FORCERENEW, with its replay value and its bytes to check", () => {
    const message = serializeForcerenew({
      xid: 1,
      ip: CLIENT.ip,
      chaddr: CLIENT.mac,
      authentication: {nonce: NONCE, replay: 0xffff_ffff_ffff_fff0n},
    })
    const frame = forcerenewFrame(message, CLIENT, {mac: SERVER.mac, ip: SERVER.ip, port: 67})
    expect(readClientSighting(received(frame))).toEqual({
      kind: 'forcerenew',
      atNs: 5n,
      mac: CLIENT.mac,
      replay: 0xffff_ffff_ffff_fff0n,
      message,
    })
  })

  it('is only what belongs to the VLAN', () => {
    const tagged = new Uint8Array([...ACK.subarray(0, 12), 0x81, 0x00, 0x00, 0x64, ...ACK.subarray(12)])
    expect(readClientSighting(received(tagged), 100)).toMatchObject({kind: 'ack'})
    expect(readClientSighting(received(tagged))).toBeUndefined()
    expect(readClientSighting(received(ACK), 100)).toBeUndefined()
  })

  it('is nothing, and no error, in 20,000 broken frames', () => {
    const broken = fc
      .tuple(fc.constantFrom(ACK, REQUEST), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), {maxLength: 6}), fc.nat(400))
      .map(([frame, changes, length]) => {
        const bytes = frame.slice(0, Math.max(1, length))
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        return bytes
      })
    fc.assert(
      fc.property(broken, (bytes) => {
        readClientSighting(received(bytes))
        readClientSighting6(received(bytes))
      }),
      {numRuns: 20_000},
    )
  })
})
