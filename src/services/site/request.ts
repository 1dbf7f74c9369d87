// `gwswitch serve site` between its flags and its work: which site, which segment, which gateway, which key.
import {
  type Gateway,
  type Inventory,
  neededInventory,
  neededSegment,
  type Segment,
  sharesGatewayIp,
} from '../../domain/inventory/site.ts'
import {targetGateway} from '../../domain/inventory/switchover.ts'
import {usage} from '../../errors.ts'
import {type InterfaceFacts, interfaceIn} from '../../net/ip.ts'
import {readSigningKey} from '../../strategies/agent/keys.ts'
import {type Ipv4, prefixContains} from '../../wire/address.ts'
import {isAgentId, NOTE_PORT, type SigningKey} from '../../wire/agent-message.ts'
import {type Endpoint, endpointText, readEndpoint} from '../../wire/endpoint.ts'
import {type Ipv6, isLinkLocal} from '../../wire/ipv6-address.ts'

/** The command line, as typed. */
export interface ServeSiteOrder {
  /** A site, or a gateway of it where it has several on the segment. */
  readonly site: string
  readonly interfaceName: string
  readonly segment?: string | undefined
  readonly key?: string | undefined
  readonly kid?: string | undefined
  readonly intervalS: number
  readonly listen?: string | undefined
  readonly beacon: boolean
  readonly dryRun: boolean
}

export interface ServeSiteRequest {
  readonly site: string
  readonly interfaceName: string
  readonly segment: Segment
  /** This site's gateway on the segment, by the addresses that beacons say. */
  readonly to: Gateway
  readonly gw6: Ipv6 | undefined
  readonly key: SigningKey
  readonly keyFile: string
  readonly intervalS: number
  readonly listen: Endpoint
  /** Where beacons say that notes go. */
  readonly ask: readonly string[]
  /** Source of beacons: the interface's own address on the segment, if it has one. */
  readonly source: Ipv4 | undefined
  readonly beacon: boolean
  readonly dryRun: boolean
  /** With the site's key as it was given. */
  readonly inventory: Inventory
}

/** @throws Failure `usage` for what cannot be served, `runtime` for an interface that is not there. */
export function serveSiteRequest(
  order: ServeSiteOrder,
  given: Inventory | undefined,
  interfaces: readonly InterfaceFacts[],
): ServeSiteRequest {
  const inventory = neededInventory(given)
  const facts = interfaceIn(interfaces, order.interfaceName)
  const segment = segmentOf(order.segment, facts, inventory)
  const to = gatewayOf(order.site, segment, inventory)
  for (const name of [to.site, segment.name]) {
    if (!isAgentId(name))
      throw usage(
        `${inventory.file}: ${JSON.stringify(name)} is no name for a message (want 1 to 64 of letters, digits, ".", "_", ":", "-")`,
      )
  }
  const file = order.key ?? to.agentKey
  if (file === undefined)
    throw usage(`no key to sign with: give --key FILE, or write sites.${to.site}.agentKey (the file of a private key)`)
  const key = readSigningKey(file, order.kid)
  const source = facts.addresses.find(({ip}) => prefixContains(segment.prefix, ip))?.ip
  const listen = listenOf(order.listen)
  return {
    ...{site: to.site, interfaceName: facts.name, segment, to, key, keyFile: file, listen, source},
    ...{intervalS: order.intervalS, beacon: order.beacon, dryRun: order.dryRun},
    // As a switch says it: what agents then use is what beacons call this site's.
    gw6: to.ip6?.find(isLinkLocal) ?? to.ip6?.[0],
    ask: order.beacon ? askOf(listen, source, facts.name) : [],
    inventory: withKey(inventory, to.site, file, order.kid),
  }
}

function segmentOf(
  name: string | undefined,
  {addresses, mac, name: interfaceName}: InterfaceFacts,
  inventory: Inventory,
): Segment {
  if (name !== undefined) return neededSegment(inventory, name)
  const byAddress = inventory.segments.filter(({prefix}) => addresses.some(({ip}) => prefixContains(prefix, ip)))
  // A router may have one MAC on all its legs.
  const byMac = inventory.segments.filter(({gateways}) => gateways.some((gateway) => gateway.mac === mac))
  const fits = byAddress.length > 0 ? byAddress : byMac
  if (fits.length === 1) return fits[0]!
  const why =
    fits.length === 0
      ? `has no address on a segment of ${inventory.file}`
      : `is on ${fits.map((segment) => segment.name).join(' and ')}`
  throw usage(`${interfaceName} ${why}: say which it is with --segment`)
}

function gatewayOf(name: string, segment: Segment, inventory: Inventory): Gateway {
  const first = targetGateway(inventory, segment, name)
  if (sharesGatewayIp(segment) || segment.gateways.some(({ip, site}) => ip === first.ip && site !== first.site)) {
    throw usage(
      `${inventory.file}: the sites share ${first.ip} on ${segment.name}: no VM can tell them apart by it, "gwswitch filter" keeps it local to each`,
    )
  }
  return first
}

function listenOf(text: string | undefined): Endpoint {
  if (text === undefined) return {address: '::', port: NOTE_PORT}
  const read = readEndpoint(text, NOTE_PORT)
  if (read) return read
  throw usage(`--listen ${text}: is not ADDRESS:PORT (want 10.0.0.2:${NOTE_PORT} or [::]:${NOTE_PORT})`)
}

/** Where the VMs of the segment reach us. */
function askOf(listen: Endpoint, source: Ipv4 | undefined, name: string): string[] {
  if (listen.address !== '::' && listen.address !== '0.0.0.0') return [endpointText(listen)]
  if (source === undefined)
    throw usage(
      `${name} has no address that VMs could send notes to: say where they reach this host with --listen ADDRESS:PORT`,
    )
  return [endpointText({address: source, port: listen.port})]
}

/** What is switched is signed by the key that was given. */
function withKey(inventory: Inventory, site: string, agentKey: string, kid: string | undefined): Inventory {
  return {
    ...inventory,
    segments: inventory.segments.map((segment) => ({
      ...segment,
      gateways: segment.gateways.map((gateway) => (gateway.site === site ? {...gateway, agentKey} : gateway)),
    })),
    vms:
      kid === undefined
        ? inventory.vms
        : inventory.vms.map((vm) => (vm.agent ? {...vm, agent: {...vm.agent, kid: vm.agent.kid ?? kid}} : vm)),
  }
}
