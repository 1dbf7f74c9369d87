// What a relay says in option 82 and the server goes by: RFC 3527 (link selection) and RFC 5107 (server id override).
import {describe, expect, it} from 'vitest'
import {dhcpServer, step} from '../../../src/domain/dhcp/server.ts'
import {type Dhcp, parseDhcp, serializeDhcp} from '../../../src/wire/dhcp.ts'
import {
  DHCPACK,
  DHCPDECLINE,
  DHCPDISCOVER,
  DHCPNAK,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
  type RelaySubOption,
} from '../../../src/wire/dhcp-options.ts'
import {booksFor, clientMessage, factsFor, NOW, type Options, option, SERVER} from './maker.ts'

const LOOPBACK = '10.33.33.33'
const GATEWAY = '10.1.0.1'
const POOL = {pool: ['10.0.0.100-10.0.0.103', '10.1.0.100-10.1.0.101']}
const ANYCAST: RelaySubOption[] = [
  {code: 1, data: Uint8Array.of(7)},
  {code: 5, data: Uint8Array.of(10, 1, 0, 1)},
  {code: 11, data: Uint8Array.of(10, 1, 0, 1)},
]

/** A server behind an anycast gateway of tenant-b; `ask` resolves to its answer to one message. */
function behindRelay(agent: readonly RelaySubOption[] = ANYCAST) {
  const facts = factsFor(POOL)
  const books = booksFor(facts)
  const state = dhcpServer(facts, books, [])
  const now = {nowNs: () => BigInt(NOW) * 1_000_000n, newNonce: () => '', probes: false, maximum: 1472}
  const ask = (type: number, options: Options = {}, header: Partial<Dhcp> = {}): Dhcp | undefined => {
    const message = clientMessage(
      type,
      {...options, relayAgentInformation: agent},
      {giaddr: LOOPBACK, hops: 1, ...header},
    )
    const payload = serializeDhcp(message)
    let actions = step(state, {kind: 'arrivals', batch: [{payload, destination: SERVER}]}, now)
    const [commit] = actions
    if (commit?.kind === 'commit') actions = step(state, {kind: 'stored', batch: commit.batch}, now)
    const sent = actions.find((action) => action.kind === 'send')?.departures[0]
    if (sent) expect(sent.to).toEqual({to: 'relay', ip: LOOPBACK})
    return sent && parseDhcp(sent.payload)
  }
  return {ask, state, leaseOf: (ip: string) => books.get('tenant-b')!.byIp(ip)?.state}
}

const typeAndServer = (reply: Dhcp | undefined) => [option(reply, 'messageType'), option(reply, 'serverIdentifier')]

describe('a relay with link selection and server id override', () => {
  it('gets an address of the link, from a server of the name that it chose, and its option 82 back', () => {
    const {ask} = behindRelay()
    const offer = ask(DHCPDISCOVER)
    expect([offer?.yiaddr, offer?.giaddr, ...typeAndServer(offer)]).toEqual([
      '10.1.0.100',
      LOOPBACK,
      DHCPOFFER,
      GATEWAY,
    ])
    expect(option(offer, 'relayAgentInformation')).toEqual(ANYCAST)
    const ack = ask(DHCPREQUEST, {requestedAddress: '10.1.0.100', serverIdentifier: GATEWAY})
    expect([ack?.yiaddr, ...typeAndServer(ack)]).toEqual(['10.1.0.100', DHCPACK, GATEWAY])
    // The client sends its renewal to the gateway, which relays it.
    expect(typeAndServer(ask(DHCPREQUEST, {}, {ciaddr: '10.1.0.100'}))).toEqual([DHCPACK, GATEWAY])
    expect(typeAndServer(ask(DHCPREQUEST, {requestedAddress: '10.0.0.100'}))).toEqual([DHCPNAK, GATEWAY])
  })

  it.each([GATEWAY, SERVER])('is the server that is meant by %s, in DECLINE and RELEASE too', (serverIdentifier) => {
    const {ask, leaseOf} = behindRelay()
    for (const ip of ['10.1.0.100', '10.1.0.101']) {
      const header = {chaddr: `02:00:00:00:01:${ip.slice(-2)}`}
      ask(DHCPDISCOVER, {requestedAddress: ip}, header)
      expect(option(ask(DHCPREQUEST, {requestedAddress: ip, serverIdentifier}, header), 'messageType')).toBe(DHCPACK)
    }
    ask(DHCPRELEASE, {serverIdentifier}, {ciaddr: '10.1.0.100', chaddr: '02:00:00:00:01:00'})
    ask(DHCPDECLINE, {requestedAddress: '10.1.0.101', serverIdentifier}, {chaddr: '02:00:00:00:01:01'})
    expect([leaseOf('10.1.0.100'), leaseOf('10.1.0.101')]).toEqual(['released', 'declined'])
  })

  it('leaves a client alone that chose another server', () => {
    const {ask} = behindRelay()
    ask(DHCPDISCOVER)
    expect(ask(DHCPREQUEST, {requestedAddress: '10.1.0.100', serverIdentifier: '10.1.0.2'})).toBeUndefined()
  })

  it('gets nothing, and is named, where the link is none of ours', () => {
    const {ask, state} = behindRelay([{code: 5, data: Uint8Array.of(192, 0, 2, 1)}])
    expect(ask(DHCPDISCOVER)).toBeUndefined()
    expect(state.counters.dropped()).toEqual({'unknown-segment': 1})
  })
})
