// Where an IPv6 address is on the segment of one interface, as arp-ask.ts asks for IPv4's: by neighbour solicitations.
import {anyOf, etherType, nextHeader} from '../../net/packet/bpf.ts'
import type {World} from '../../net/world.ts'
import type {Mac} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_IPV6} from '../../wire/ethernet.ts'
import {icmpv6Frame} from '../../wire/icmpv6.ts'
import {NEXT_HEADER_ICMPV6} from '../../wire/ipv6.ts'
import {type Ipv6, multicastMac, solicitedNode} from '../../wire/ipv6-address.ts'
import {ND_HOP_LIMIT} from '../../wire/nd.ts'
import {askOnLink} from './arp-ask.ts'
import {receivedIcmp6} from './icmp6-answer.ts'

/** Every MAC that answers for `ip`, in order; empty after silence of about a second. */
export const askNd = (world: World, interfaceName: string, source: Ipv6, ip: Ipv6): Promise<readonly Mac[]> =>
  askOnLink(world, interfaceName, {
    filter: anyOf([[etherType(ETHERTYPE_IPV6), nextHeader(NEXT_HEADER_ICMPV6)]]),
    question: (mac) =>
      icmpv6Frame(
        {destination: multicastMac(solicitedNode(ip)), source: mac},
        {source, destination: solicitedNode(ip)},
        {kind: 'neighbour-solicitation', target: ip, options: [{kind: 'source-link-layer-address', mac}]},
      ),
    answer: (bytes) => ifWellFormed(() => answerFor(bytes, source, ip)),
  })

function answerFor(bytes: Uint8Array, source: Ipv6, ip: Ipv6): Mac | undefined {
  const received = receivedIcmp6(bytes, source)
  if (received?.icmp.kind !== 'neighbour-advertisement' || received.packet.hopLimit !== ND_HOP_LIMIT) return undefined
  const {icmp} = received
  const option = icmp.options.find(({kind}) => kind === 'target-link-layer-address')
  if (icmp.target !== ip) return undefined
  return option?.kind === 'target-link-layer-address' ? option.mac : received.returnMac
}
