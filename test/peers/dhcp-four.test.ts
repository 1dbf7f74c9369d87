import {describe, expect, it} from 'vitest'
import type {DhcpServerKind} from '../../src/domain/inventory/segment-dhcp.ts'
import {type Dhcp, serializeDhcp} from '../../src/wire/dhcp.ts'
import {DHCPREQUEST, type DhcpOption, dhcpOptions, readOption, writeOption} from '../../src/wire/dhcp-options.ts'
import {hasProgram, noNamespaces} from '../support/namespaces.ts'
import {discoverOptions, FAR_GATEWAY, LOOPBACK_IP, RELAY_IP, type Relay, relayed, withServer} from './dhcp-four.ts'
import {SERVER_IP} from './dhcp-lab.ts'
import {ODD, oddPacket} from './dhcp-odd.ts'
import {SERVERS} from './dhcp-servers.ts'

const KINDS: Exclude<DhcpServerKind, 'shim'>[] = ['gwswitch', 'dnsmasq', 'kea', 'isc']
const missing: string[] = noNamespaces === undefined ? [] : [noNamespaces]
for (const {program} of Object.values(SERVERS)) if (!(await hasProgram(program))) missing.push(`${program} is missing`)

const agent = (override: boolean): DhcpOption =>
  writeOption(dhcpOptions.relayAgentInformation, [
    {code: 1, data: new TextEncoder().encode('vni10051')},
    {code: 5, data: Uint8Array.of(10, 51, 0, 1)},
    ...(override ? [{code: 11, data: Uint8Array.of(10, 51, 0, 1)}] : []),
  ])

const said = (reply: Dhcp | undefined) =>
  reply === undefined
    ? 'nothing'
    : `${reply.yiaddr.replace(/\.\d+$/, '')} by ${readOption(reply.options, dhcpOptions.serverIdentifier)} to ${reply.giaddr}`

/** RFC 5107. Kea 2.2 and dhcpd 4.4 read link selection, and keep their own name. */
const OVERRIDES: ReadonlySet<DhcpServerKind> = new Set(['gwswitch', 'dnsmasq'])

/** What an anycast gateway gets: an offer, the lease, and a renewal that it relays. */
async function anycast(relay: Relay, giaddr: string, override: boolean): Promise<string[]> {
  const message = (xid: number, options: readonly DhcpOption[], header: Partial<Dhcp> = {}) =>
    serializeDhcp(relayed(xid, [...options, agent(override)], {giaddr, chaddr: '02:00:00:00:51:01', ...header}))
  const offer = await relay.ask(message(1, discoverOptions()), 1)
  if (!offer) return ['nothing']
  const request = writeOption(dhcpOptions.messageType, DHCPREQUEST)
  const selecting = [
    request,
    writeOption(dhcpOptions.requestedAddress, offer.yiaddr),
    writeOption(dhcpOptions.serverIdentifier, readOption(offer.options, dhcpOptions.serverIdentifier)!),
  ]
  const ack = await relay.ask(message(2, selecting), 2)
  const renewed = await relay.ask(message(3, [request], {ciaddr: offer.yiaddr}), 3)
  return [offer, ack, renewed].map(said)
}

describe.skipIf(missing.length > 0)(
  `one relay and four servers${missing.length > 0 ? ` (${missing.join(', ')})` : ''}`,
  () => {
    it('answers odd packets where most of dnsmasq, Kea and dhcpd do, and what cannot be meant by none', async () => {
      const answered = new Map<string, DhcpServerKind[]>(Object.keys(ODD).map((name) => [name, []]))
      for (const kind of KINDS) {
        await withServer(kind, async (relay) => {
          for (const [i, [name, packet]] of Object.entries(ODD).entries()) {
            const reply = await relay.ask(oddPacket(i + 1, packet), i + 1)
            if (reply) answered.get(name)!.push(kind)
          }
        })
      }
      const rows = [...answered]
      const others = (kinds: readonly DhcpServerKind[]) => kinds.filter((kind) => kind !== 'gwswitch').length
      expect(rows.filter(([, kinds]) => others(kinds) >= 2 && !kinds.includes('gwswitch'))).toEqual([])
      expect(rows.filter(([, kinds]) => others(kinds) === 0).map(([name, kinds]) => [name, kinds])).toEqual([
        ['an empty message type', []],
        ['an end option first', []],
        ['no options at all', []],
      ])
    })

    it.each(KINDS)('link selection from a loopback address, and another server id, as %s does it', async (kind) => {
      await withServer(kind, async (relay) => {
        const got = {
          near: await anycast(relay, RELAY_IP, false),
          loopback: await anycast(relay, LOOPBACK_IP, false),
          override: await anycast(relay, LOOPBACK_IP, true),
        }
        const lease = (server: string, to: string) => Array.from({length: 3}, () => `10.51.0 by ${server} to ${to}`)
        expect(got).toEqual({
          near: lease(SERVER_IP, RELAY_IP),
          loopback: lease(SERVER_IP, LOOPBACK_IP),
          override: lease(OVERRIDES.has(kind) ? FAR_GATEWAY : SERVER_IP, LOOPBACK_IP),
        })
      })
    })
  },
)
