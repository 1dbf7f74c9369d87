// What `init` was asked for, as checked: where it listens, and what is known already.
import type {DraftChoices} from '../../domain/init/draft.ts'
import type {KnownPrefix} from '../../domain/init/prefixes.ts'
import {NAME} from '../../domain/inventory/inventory-checks.ts'
import {hint} from '../../domain/suggest.ts'
import {usage} from '../../errors.ts'
import type {HostLink} from '../../net/bridge-host.ts'
import {interfaceIn} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import type {SurveyPlace, SurveyRequest} from '../../probe/survey.ts'
import {isIpv4, prefixOf, readPrefix} from '../../wire/address.ts'

export interface InitOrder {
  readonly interfaces: readonly string[]
  /** `PORT` or `PORT=SITE`. */
  readonly interSite: readonly string[]
  readonly site: string | undefined
  readonly segment: string | undefined
  readonly prefixes: readonly string[]
  readonly listenS: number
  readonly silent: boolean
  readonly sweep: boolean
  readonly askDhcp: boolean
}

export interface InitRequest {
  readonly survey: Omit<SurveyRequest, 'onProgress'>
  readonly known: readonly KnownPrefix[]
  readonly choices: DraftChoices
}

/** Names of sites that nobody gave. */
const HERE = 'here'
const THERE = 'there'
/** Longest prefix whose every address is asked for. */
const SWEEP = 1024

/** @throws Failure `usage` for what is no name, no prefix and no port; `runtime` for an interface that is not here. */
export async function initRequest(order: InitOrder, world: World): Promise<InitRequest> {
  const [facts, links] = await Promise.all([world.interfaces(), world.hostLinks?.() ?? []])
  const places = new Map<string, SurveyPlace>()
  for (const name of order.interfaces) {
    interfaceIn(facts, name)
    const {portOf, isBridge} = (await world.bridgeOf?.(name)) ?? {portOf: undefined, isBridge: false}
    const {mac, addresses} = interfaceIn(facts, portOf ?? name)
    const ips = addresses.map(({ip}) => ip)
    places.set(portOf ?? name, {name: portOf ?? name, isBridge: isBridge || portOf !== undefined, mac, ips})
  }
  // A router may answer on one leg for the address of another: with several, a prefix is where it is heard.
  const [only] = places.size === 1 ? places.keys() : []
  const known: KnownPrefix[] = [
    ...order.prefixes.map((text) => {
      const prefix = readPrefix(text)
      if (prefix === undefined) throw usage(`"${text}" is not a prefix (want 10.0.0.0/24)`)
      return {prefix, interfaceName: only, by: 'given' as const}
    }),
    ...[...places.keys()].flatMap((name) =>
      interfaceIn(facts, name)
        .addresses.filter(({prefixLength}) => prefixLength < 31)
        .map(({ip, prefixLength}) => ({
          prefix: prefixOf(ip, prefixLength),
          interfaceName: name,
          by: 'interface' as const,
        })),
    ),
  ]
  const ownIps = new Map([...places.values()].flatMap(({name, ips}) => (ips[0] === undefined ? [] : [[name, ips[0]]])))
  return {
    survey: {
      ...{places: [...places.values()], listenMs: order.listenS * 1000, silent: order.silent},
      plan: {sweep: order.sweep ? SWEEP : 0, dhcp: order.askDhcp, known, ownIps},
    },
    known,
    choices: choicesOf(order, [...places.keys()], links),
  }
}

function choicesOf(order: InitOrder, places: readonly string[], links: readonly HostLink[]): DraftChoices {
  for (const name of [order.site, order.segment]) if (name !== undefined) checkName(name)
  const portsOf = new Map(
    places.map((place) => [place, links.filter(({bridge}) => bridge === place).map(({name}) => name)] as const),
  )
  const ports = places.flatMap((place) => [place, ...portsOf.get(place)!])
  const given = order.interSite.map((text) => {
    const [port = '', site] = text.split('=')
    if (!ports.includes(port)) throw usage(`--inter-site ${port}: no port at which is listened${hint(port, ports)}`)
    if (site !== undefined) checkName(site)
    return {port, site, by: 'given' as const}
  })
  const tunnels = links
    .filter(({name, tunnel}) => tunnel && ports.includes(name) && !given.some(({port}) => port === name))
    .map(({name}) => ({port: name, site: undefined, by: 'tunnel' as const}))
  const all = [...given, ...tunnels]
  // One port a bridge: the tunnels of several segments, to one site as far as anybody knows.
  const onBridgeOf = (port: string): number => {
    const bridge = links.find(({name}) => name === port)?.bridge
    return all.filter((each) => links.find(({name}) => name === each.port)?.bridge === bridge).length
  }
  const elsewhere = (port: string): string => (onBridgeOf(port) === 1 || !NAME.test(port) ? THERE : `${THERE}-${port}`)
  return {
    ...{site: {name: order.site ?? HERE, given: order.site !== undefined}, segment: order.segment, portsOf},
    interSite: new Map(all.map(({port, site, by}) => [port, {name: site ?? elsewhere(port), by}] as const)),
    notGateways: new Set(),
  }
}

function checkName(name: string): void {
  if (!NAME.test(name) || isIpv4(name))
    throw usage(`"${name}" is not a name (want letters, digits, "-", "_", "."; no address)`)
}
