// The kernel's routing tables and policy rules through rtnetlink: asked and changed in the calling process, in microseconds,
// without ip(8). Every call is synchronous: the kernel answers a request before sendmsg(2) returns.

import {readSync, writeSync} from 'node:fs'
import {constants} from 'node:os'
import {libc} from '../libc.ts'
import {watchReadable} from '../packet/readable.ts'
import {type InterfaceMessage, parseInterface, parseLocalAddress} from './interface-message.ts'
import {
  askNeighbour,
  dumpFdb,
  dumpNeighbours,
  type FdbFacts,
  type NeighbourFacts,
  type NeighbourKey,
  type NewNeighbour,
  parseFdb,
  parseNeighbour,
  replaceNeighbour,
} from './neighbour-message.ts'
import {
  type Family,
  type NetlinkMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
  netlinkMessages,
  OWN_PROTOCOL,
  parseError,
} from './netlink-message.ts'
import {netlinkSocket} from './netlink-socket.ts'
import {
  appendRoute,
  type DefaultRoute,
  deleteRoute,
  dumpAddresses,
  dumpLinks,
  dumpRoutes,
  isNotifyPeers,
  type LinkFacts,
  type PrefixFacts,
  parseAddress,
  parseDefaultRoute,
  parseLink,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  replaceRoute,
} from './route-message.ts'
import {
  type PrefixRoute,
  parseAnswer,
  parsePrefixRoute,
  type RouteAnswer,
  type RouteQuery,
  routeQuery,
} from './route-query.ts'
import {
  addRule,
  deleteRule,
  dumpRules,
  type ListedRule,
  type PolicyRule,
  parseRule,
  RTM_DELRULE,
  RTM_NEWRULE,
} from './rule-message.ts'

const NETLINK_ROUTE = 0
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const NLM_F_DUMP_INTR = 0x10
/** RTMGRP_LINK, and the groups of IPv4 and IPv6 routes and rules. */
const LINKS = 0x1
const GROUPS = LINKS | 0x40 | 0x400 | 0x80 | 0x40000

/** Of all sockets: what is asked is answered, and read, before anything else is asked. */
const ANSWERS = Buffer.alloc(1 << 18)

/** The kernel refused; `code` is the errno's name. */
export class RouteError extends Error {
  override readonly name = 'RouteError'
  readonly code: string
  constructor(code: string, detail: string) {
    super(detail)
    this.code = code
  }
}

export interface RouteSocket {
  links(): LinkFacts[]
  interfaces(): InterfaceMessage[]
  /** IPv4 addresses of all interfaces, primary ones first. */
  localAddresses(): NonNullable<ReturnType<typeof parseLocalAddress>>[]
  /** Addresses with their prefixes, of all interfaces. */
  addresses(): PrefixFacts[]
  neighbours(): NeighbourFacts[]
  /** The forwarding tables of all bridges. */
  fdb(): FdbFacts[]
  /** One entry; undefined if there is none. */
  neighbour(key: NeighbourKey): NeighbourFacts | undefined
  /** The default routes of a table, lowest metric first; none if there is no such table or family. */
  defaultRoutes(family: Family, table: number): DefaultRoute[]
  /** The routes of a table to less than everything that go through a gateway. */
  prefixRoutes(family: Family, table: number): PrefixRoute[]
  /** Where the kernel would send a packet now; undefined if nowhere. */
  routeTo(query: RouteQuery): RouteAnswer | undefined
  /** All rules, in the order in which the kernel asks them. */
  listRules(family: Family): ListedRule[]
  /** Over the route of the same table and metric. @throws RouteError, ENOENT if there is none and `create` is not set. */
  replace(route: DefaultRoute, create: boolean): void
  /** Behind those of the same key; there afterwards, once. IPv4 only. @throws RouteError */
  append(route: DefaultRoute): void
  /** Gone afterwards, also if it was not there. @throws RouteError */
  deleteRoute(route: DefaultRoute): void
  /** There afterwards, once. @throws RouteError */
  addRule(rule: PolicyRule): void
  /** Gone afterwards, also if it was not there. @throws RouteError */
  deleteRule(rule: PolicyRule): void
  /** A reachable neighbour, over whatever entry is there. @throws RouteError */
  replaceNeighbour(neighbour: NewNeighbour): void
  close(): void
}

/** @throws Failure `runtime` if there is no netlink here. Needs no privilege; changing does (CAP_NET_ADMIN). */
export function openRouteSocket(): RouteSocket {
  const fd = netlinkSocket(NETLINK_ROUTE, 0)
  for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
    // Older kernels lack some; they answer the same, less precisely.
    libc().setsockopt(fd, SOL_NETLINK, option, Uint8Array.of(1, 0, 0, 0), 4)
  }
  let sequence = 0

  const send = (message: Buffer): void => {
    sequence = (sequence + 1) >>> 0
    message.writeUInt32LE(sequence, 8)
    writeSync(fd, message)
  }
  const change = (message: Buffer, ignored: readonly string[]): void => {
    send(message)
    for (const answer of receive()) {
      const {errno, text} = parseError(answer)
      if (errno === 0) return
      const code = errnoName(errno)
      if (ignored.includes(code)) return
      throw new RouteError(code, text ?? code)
    }
  }
  const receive = (): NetlinkMessage[] =>
    [...netlinkMessages(ANSWERS.subarray(0, readSync(fd, ANSWERS)))].filter((answer) => answer.sequence === sequence)

  /** A dump that changed under the reader's hands is read again. */
  const dump = <T>(message: Buffer, parse: (body: Buffer) => T | undefined): T[] => {
    for (let attempt = 0; ; attempt++) {
      const {rows, interrupted} = dumpOnce(message, parse)
      if (!interrupted || attempt === 3) return rows
    }
  }
  const dumpOnce = <T>(message: Buffer, parse: (body: Buffer) => T | undefined) => {
    const rows: T[] = []
    let interrupted = false
    send(message)
    for (;;) {
      for (const answer of receive()) {
        if ((answer.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true
        if (answer.type === NLMSG_DONE) return {rows, interrupted}
        if (answer.type === NLMSG_ERROR) {
          const {errno, text} = parseError(answer)
          const code = errnoName(errno)
          if (['ENOENT', 'EOPNOTSUPP', 'EAFNOSUPPORT', 'ESRCH'].includes(code)) return {rows, interrupted}
          throw new RouteError(code, text ?? code)
        }
        const row = parse(answer.body)
        if (row !== undefined) rows.push(row)
      }
    }
  }

  const neighbours = (): NeighbourFacts[] => dump(dumpNeighbours(), parseNeighbour)

  return {
    links: () => dump(dumpLinks(), parseLink),
    interfaces: () => dump(dumpLinks(), parseInterface),
    localAddresses: () => dump(dumpAddresses(), parseLocalAddress),
    addresses: () => dump(dumpAddresses(), parseAddress),
    neighbours,
    fdb: () => dump(dumpFdb(), parseFdb),
    neighbour(key) {
      send(askNeighbour(key))
      const [answer] = receive()
      if (answer === undefined || answer.type !== NLMSG_ERROR) return answer && parseNeighbour(answer.body)
      if (errnoName(parseError(answer).errno) === 'ENOENT') return undefined
      // A kernel that gives all or none.
      return neighbours().find((each) => each.interfaceIndex === key.interfaceIndex && each.ip === key.ip)
    },
    defaultRoutes: (family, table) =>
      dump(dumpRoutes(family, table), parseDefaultRoute)
        // Kernels without strict checking send all tables; those that were started without IPv6, when asked for that, all
        // families.
        .filter((route) => route.table === table && route.family === family)
        .toSorted((a, b) => a.metric - b.metric),
    prefixRoutes: (family, table) =>
      dump(dumpRoutes(family, table), parsePrefixRoute).filter(
        (each) => each.table === table && each.family === family,
      ),
    routeTo(query) {
      send(routeQuery(query))
      // Whatever it refuses is sent nowhere: an error is an answer too.
      const [answer] = receive()
      return answer === undefined || answer.type === NLMSG_ERROR ? undefined : parseAnswer(answer.body, query)
    },
    listRules: (family) => dump(dumpRules(family), parseRule).filter((rule) => rule.family === family),
    replace: (route, create) => change(replaceRoute(route, create), []),
    append: (route) => change(appendRoute(route), ['EEXIST']),
    deleteRoute: (route) => change(deleteRoute(route), ['ESRCH', 'ENOENT']),
    addRule: (rule) => change(addRule(rule), ['EEXIST']),
    deleteRule: (rule) => change(deleteRule(rule), ['ENOENT', 'EAFNOSUPPORT']),
    replaceNeighbour: (neighbour) => change(replaceNeighbour(neighbour), []),
    close: () => void libc().close(fd),
  }
}

/** What happened to links, routes and rules. */
export interface RouteEvents {
  /** The interface announces itself to its neighbours: the VM was moved, or a bond failed over. */
  onNotifyPeers(interfaceIndex: number): void
  /**
   * Somebody else changed an interface, a route or a rule, or took one of ours: what was so may be so no more. Several
   * changes may come as one call.
   */
  onChanged(): void
}

/** Listens to the kernel's notifications. Resolves its `close` when nothing more will be called. */
export const watchRoutes = (events: RouteEvents): {close(): Promise<void>} => watchGroups(GROUPS, events)

/** The same of interfaces alone: they come, go, and change. */
export const watchLinks = (onChanged: () => void): {close(): Promise<void>} =>
  watchGroups(LINKS, {onChanged, onNotifyPeers: () => {}})

function watchGroups(groups: number, events: RouteEvents): {close(): Promise<void>} {
  const fd = netlinkSocket(NETLINK_ROUTE, groups)
  const buffer = Buffer.alloc(1 << 16)
  const watch = watchReadable(fd, () => {
    let changed = false
    for (;;) {
      let length: number
      try {
        length = readSync(fd, buffer)
      } catch (error) {
        // ENOBUFS: more happened than the socket could hold.
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') break
        changed = true
        break
      }
      for (const message of netlinkMessages(buffer.subarray(0, length))) {
        if (message.type === RTM_NEWLINK && isNotifyPeers(message.body))
          events.onNotifyPeers(message.body.readInt32LE(4))
        changed ||= isOfOthers(message)
      }
    }
    if (changed) events.onChanged()
  })
  return {
    async close() {
      await watch.stop()
      libc().close(fd)
    },
  }
}

/** rtm_protocol lies at the same place in every route. */
const PROTOCOL_AT = 5
/** ifi_change of ifinfomsg: the flags that are others than before; none for what is no flag. */
const CHANGE_AT = 12
const IFF_PROMISC = 0x100

/** IPv4 routes that go with an interface that goes down are not told of: the interface is. */
function isOfOthers({type, body}: NetlinkMessage): boolean {
  switch (type) {
    case RTM_NEWRULE:
      return parseRule(body)?.own === false
    case RTM_NEWROUTE:
      return body[PROTOCOL_AT] !== OWN_PROTOCOL
    case RTM_NEWLINK:
      // Somebody begins or ends listening there: it is what it was.
      return body.readUInt32LE(CHANGE_AT) !== IFF_PROMISC
    default:
      // Whoever takes away one of ours, we look; when it was we, there is nothing to see.
      return type === RTM_DELRULE || type === RTM_DELROUTE || type === RTM_DELLINK
  }
}

const ERRNOS = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]))
const errnoName = (errno: number): string => ERRNOS.get(errno) ?? `errno ${errno}`
