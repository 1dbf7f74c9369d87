// What each gateway of the lab has forwarded, counted by nftables in the gateway itself.
import {Failure} from '../errors.ts'
import {runCommand} from '../net/process/command.ts'
import {namespaceCommand} from '../net/process/netns.ts'
import {egressCounter, inboundCounter} from './recipe.ts'
import {type LabSite, namespaceOf, SEGMENTS} from './topology.ts'

export interface Traffic {
  readonly packets: number
  readonly bytes: number
}

/** Forwarded IP packets of one gateway, since the lab came up. What the gateway itself sends or answers is not in it. */
export interface GatewayCounters {
  readonly gateway: string
  readonly site: LabSite
  readonly segment: string
  /** From the segment outwards: VM to user. */
  readonly egress: Traffic
  /** Into the segment: user to VM. */
  readonly inbound: Traffic
}

interface NftCounter extends Traffic {
  readonly name: string
}

/** The counters of every gateway. @throws Failure `runtime` if the lab is not up. */
export async function gatewayCounters(prefix: string): Promise<GatewayCounters[]> {
  const nodes = [...new Set(SEGMENTS.flatMap(({gateways}) => gateways.map(({node}) => node)))]
  const read = new Map(await Promise.all(nodes.map(async (node) => [node, await nodeCounters(prefix, node)] as const)))
  return SEGMENTS.flatMap(({gateways, letter}) =>
    gateways.map(({name, site, segment, node}) => ({
      gateway: name,
      site,
      segment,
      egress: traffic(read.get(node)!, egressCounter(letter)),
      inbound: traffic(read.get(node)!, inboundCounter(letter)),
    })),
  )
}

/** What passed between two readings. */
export const countersBetween = (
  before: readonly GatewayCounters[],
  after: readonly GatewayCounters[],
): GatewayCounters[] =>
  after.map((now) => {
    const then = before.find(({gateway}) => gateway === now.gateway)
    if (!then) return now
    return {...now, egress: difference(now.egress, then.egress), inbound: difference(now.inbound, then.inbound)}
  })

const difference = (now: Traffic, then: Traffic): Traffic => ({
  packets: now.packets - then.packets,
  bytes: now.bytes - then.bytes,
})

async function nodeCounters(prefix: string, node: string): Promise<NftCounter[]> {
  const namespace = namespaceOf(prefix, node)
  const [command = '', ...args] = namespaceCommand(namespace, ['nft', '-j', 'list', 'counters'])
  const {nftables} = JSON.parse(await runCommand(command, args)) as {nftables: {counter?: NftCounter}[]}
  return nftables.flatMap(({counter}) => (counter ? [counter] : []))
}

function traffic(counters: readonly NftCounter[], name: string): Traffic {
  const found = counters.find((counter) => counter.name === name)
  if (!found) throw new Failure('runtime', `lab: a gateway has no counter ${name}`)
  return {packets: found.packets, bytes: found.bytes}
}
