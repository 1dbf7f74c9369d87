// Asks the kernel where it would send each kind of the VM's traffic: to anywhere, and what the VM's routes and rules make an
// exception of. Nothing is sent.
import type {Way} from '../../domain/agent/egress.ts'
import {contains} from '../../domain/agent/facts.ts'
import {type Family, RT_TABLE_MAIN} from '../../net/netlink/netlink-message.ts'
import type {PrefixFacts} from '../../net/netlink/route-message.ts'
import type {PrefixRoute, RouteAnswer, RouteQuery} from '../../net/netlink/route-query.ts'
import type {ListedRule, NumberRange, RuleSelector} from '../../net/netlink/rule-message.ts'
import type {AgentKernel} from './kernel.ts'
import {OVERLAY_TABLE} from './overlay-rules.ts'

type Kernel = Pick<AgentKernel, 'routeTo' | 'prefixRoutes' | 'listRules' | 'addresses' | 'links'>

/**
 * Anywhere: in both halves of the address space, in IPv6 in 2000::/3 too. Of each group the first that has no route of its
 * own stands for all: RFC 7600, RFC 6598, RFC 5737, RFC 6666, RFC 9637, and what no one was given.
 */
const ANYWHERE: Readonly<Record<Family, readonly (readonly string[])[]>> = {
  4: [
    ['192.0.0.8', '203.0.112.254', '150.255.255.254'],
    ['100.127.255.254', '9.255.255.254', '69.255.255.254'],
  ],
  6: [
    ['100::8', '1000::8'],
    ['3fff:fff:ffff::8', '2a00:ffff:ffff::8'],
    ['8000::8', 'a000::8'],
  ],
}
/** Up to this prefix length, a route is for so much that it is for all: halves 0/1, quarters, 2000::/3. */
const WIDE = 3
/** Exceptions that are asked for: each takes some 20 µs. */
const ASKED = 64
/** Of root: what is sent for certain users is an exception. */
const UID = 0

export interface LookOptions {
  /** Only what is bound to this interface: for one that the host's default route does not lead to. */
  readonly bound?: number | undefined
}

/** Where what the VM sends to anywhere goes, in one word; undefined if nowhere. @throws RouteError */
export function inUseNow(kernel: Kernel, family: Family): Pick<RouteAnswer, 'gateway' | 'interfaceIndex'> | undefined {
  const query = {family, destination: somewhere(kernel, family, ANYWHERE[family][0]!), uid: UID}
  const first = kernel.routeTo(query)
  return first?.source === undefined ? first : kernel.routeTo({...query, source: first.source})
}

/** Where the VM's traffic of a family goes. @throws RouteError */
export function waysOf(kernel: Kernel, family: Family, {bound}: LookOptions = {}): Way[] {
  const look = makeLook(kernel, family)
  const device: Pick<RouteQuery, 'outgoing'> = bound === undefined ? {} : {outgoing: bound}
  const anywhere = ANYWHERE[family].map((group) => somewhere(kernel, family, group))
  const ordinary = anywhere.flatMap((destination) => look.fromHere('what is sent', {destination, ...device}))
  const parts = [...ruleParts(kernel, family), ...routeParts(kernel, family)].slice(0, ASKED)
  return [
    ...ordinary,
    ...parts.flatMap(({what, query}) => look.part(what, {destination: anywhere[0]!, ...device, ...query})),
  ]
}

/** ICMP and ICMPv6: a rule may be for just these. */
const ECHO: Readonly<Record<Family, number>> = {4: 1, 6: 58}

/** Where echoes to these addresses go. @throws RouteError */
export function waysTo(
  kernel: Kernel,
  family: Family,
  destinations: readonly string[],
  {bound}: LookOptions = {},
): Way[] {
  const look = makeLook(kernel, family)
  const device: Pick<RouteQuery, 'outgoing'> = bound === undefined ? {} : {outgoing: bound}
  const query = {...device, ipProtocol: ECHO[family]}
  return destinations.flatMap((destination) => look.fromHere(destination, {destination, ...query}))
}

function somewhere(kernel: Kernel, family: Family, group: readonly string[]): string {
  const isPlain = (destination: string): boolean =>
    (kernel.routeTo({family, destination, uid: UID, match: true})?.length ?? 0) <= WIDE
  return group.find(isPlain) ?? group[0]!
}

interface Part {
  readonly what: string
  readonly query: Partial<RouteQuery>
}
type Asked = Omit<RouteQuery, 'family'>

function makeLook(kernel: Kernel, family: Family) {
  const names = new Map(kernel.links().map(({index, name}) => [index, name]))
  const ask = (query: Asked): RouteAnswer | undefined => kernel.routeTo({uid: UID, ...query, family})
  const wayOf = (kind: Way['kind'], what: string, answer: RouteAnswer | undefined, match: RouteAnswer | undefined) => ({
    ...{kind, what, gateway: answer?.gateway, interfaceIndex: answer?.interfaceIndex ?? 0},
    interfaceName: names.get(answer?.interfaceIndex ?? 0) ?? '',
    byDefault: match?.length === 0 && (match.table === RT_TABLE_MAIN || match.table === OVERLAY_TABLE),
    route: match === undefined ? 'no route' : routeText(match),
  })
  const decided = (kind: Way['kind'], what: string, query: Asked): Way =>
    wayOf(kind, what, ask(query), ask({...query, match: true}))
  return {
    /** As a socket does it: by what the kernel finds without a source, and then by the source that it chose. */
    fromHere(what: string, query: Asked): Way[] {
      const first = decided('ordinary', what, query)
      const source = ask(query)?.source
      return source === undefined ? [first] : [first, decided('ordinary', `${what} from ${source}`, {...query, source})]
    },
    /** Nothing for what the kernel would not send, as from an address that is not the VM's. */
    part(what: string, query: Asked): Way[] {
      const way = decided('part', what, query)
      return way.interfaceIndex === 0 ? [] : [way]
    },
  }
}

const routeText = ({table, length}: RouteAnswer): string => {
  const where = table === RT_TABLE_MAIN ? 'the main table' : `table ${table}`
  return length === 0 ? `the default route of ${where}` : `a route of prefix length ${length} in ${where}`
}

/** What has a route of its own: DHCP option 121, halves 0/1, ... */
const routeParts = (kernel: Kernel, family: Family): Part[] =>
  kernel.prefixRoutes(family, RT_TABLE_MAIN).map((route) => ({
    what: `${route.address}/${route.length}`,
    query: {destination: inside(route)},
  }))

/** Its last bit set where it has one to set: the first address of a prefix may be nobody's. */
function inside({address, length, family}: PrefixRoute): string {
  if (family === 6) return length === 128 || !address.endsWith('::') ? address : `${address}1`
  return length === 32 ? address : address.replace(/\d+$/, (last) => `${Number(last) | 1}`)
}

/** What a policy rule of the VM's own is for. */
function ruleParts(kernel: Kernel, family: Family): Part[] {
  const addresses = kernel.addresses().filter((each) => each.family === family)
  const indexes = new Map(kernel.links().map(({index, name}) => [name, index]))
  return kernel
    .listRules(family)
    .filter((rule) => !rule.own && (rule.mark !== undefined || Object.keys(rule.selector).length > 0))
    .flatMap((rule) => {
      const what = selectorText(rule)
      return queriesFor(rule.selector, addresses, indexes).map((query) => ({
        what,
        // Of a rule for all but one mark, that one is the exception; all others are ordinary.
        query: {...query, ...(rule.mark === undefined ? {} : {mark: rule.mark.value})},
      }))
    })
}

function queriesFor(
  {source, destination, incoming, outgoing, users, ipProtocol, sourcePorts, ports, tos}: RuleSelector,
  addresses: readonly PrefixFacts[],
  indexes: ReadonlyMap<string, number>,
): Partial<RouteQuery>[] {
  const common: Partial<RouteQuery> = {
    ...(destination === undefined ? {} : {destination: destination.address}),
    ...(users === undefined ? {} : {uid: users.first}),
    ...(ipProtocol === undefined ? {} : {ipProtocol}),
    ...(sourcePorts === undefined ? {} : {sourcePort: sourcePorts.first}),
    ...(ports === undefined ? {} : {port: ports.first}),
    ...(tos === undefined ? {} : {tos}),
  }
  const through = (name: string | undefined): number | undefined => (name === undefined ? undefined : indexes.get(name))
  const out = through(outgoing)
  const bound = out === undefined ? {} : {outgoing: out}
  if (incoming !== undefined && incoming !== 'lo') return forwarded(through(incoming), common, addresses)
  if (source === undefined) return [{...common, ...bound}]
  return addresses
    .filter(({family, address}) => contains({family, ...source}, address))
    .map(({address}) => ({...common, ...bound, source: address}))
}

/** A packet of the first neighbour on that interface. */
function forwarded(
  incoming: number | undefined,
  common: Partial<RouteQuery>,
  addresses: readonly PrefixFacts[],
): Partial<RouteQuery>[] {
  const own = addresses.find(({interfaceIndex}) => interfaceIndex === incoming)
  if (incoming === undefined || own === undefined) return []
  return [{...common, incoming, source: neighbourOf(own)}]
}

const neighbourOf = ({family, address}: PrefixFacts): string =>
  family === 4
    ? address.replace(/\d+$/, (last) => `${Number(last) ^ 3}`)
    : address.replace(/[0-9a-f]*$/, (last) => (Number.parseInt(last || '0', 16) ^ 3).toString(16))

const rangeText = ({first, last}: NumberRange): string => (first === last ? `${first}` : `${first}-${last}`)

/** As one would say what the rule is for. */
function selectorText({selector, mark}: ListedRule): string {
  const {source, destination, incoming, outgoing, users, ipProtocol, sourcePorts, ports, tos} = selector
  const parts = [
    source && `is sent from ${source.address}/${source.length}`,
    destination && `is sent to ${destination.address}/${destination.length}`,
    incoming && (incoming === 'lo' ? 'the VM itself sends' : `comes in by ${incoming}`),
    outgoing && `is bound to ${outgoing}`,
    users && `users ${rangeText(users)} send`,
    mark && `has mark 0x${mark.value.toString(16)}/0x${mark.mask.toString(16)}`,
    ipProtocol !== undefined && `is of IP protocol ${ipProtocol}`,
    sourcePorts && `leaves from port ${rangeText(sourcePorts)}`,
    ports && `is sent to port ${rangeText(ports)}`,
    tos && `has TOS ${tos}`,
  ]
  return `what ${parts.filter(Boolean).join(' and ')}`
}
