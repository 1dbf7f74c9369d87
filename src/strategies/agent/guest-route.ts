// Default routes as `ip route show` prints them in a guest, and the way to write one with another gateway: by its own key.

import type {Ipv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {GatewayPair} from './conversation.ts'

export interface GuestRoute {
  readonly family: 4 | 6
  /** Undefined for one that is on-link or has several next hops. */
  readonly gateway: Ipv4 | Ipv6 | undefined
  readonly device: string | undefined
  readonly metric: number
  /** Several next hops, or a next hop object: there is no one gateway to change. */
  readonly compound: boolean
  /** What ip(8) takes to write it again: everything but what the kernel alone can say. */
  readonly words: readonly string[]
}

/** Printed of the state that the kernel sees the route in; ip(8) does not take them back. */
const STATE_WORDS = new Set(['linkdown', 'dead', 'offload', 'trap', 'offload_failed', 'pervasive'])
const DEFAULT_METRIC6 = 1024

/** The default routes in the output of `ip -4 route show` or `ip -6 route show`, lowest metric first. */
export function readDefaultRoutes(output: string, family: 4 | 6): readonly GuestRoute[] {
  const lines = output.split('\n')
  return lines
    .flatMap((line, i) =>
      line.startsWith('default') ? [readRoute(line, family, /^\s+nexthop/.test(lines[i + 1] ?? ''))] : [],
    )
    .toSorted((a, b) => a.metric - b.metric)
}

function readRoute(line: string, family: 4 | 6, multipath: boolean): GuestRoute {
  // "expires 1790sec" is how it prints what it takes as "expires 1790".
  const words = line
    .trim()
    .split(/\s+/)
    .filter((word) => !STATE_WORDS.has(word))
    .map((word, i, all) => (all[i - 1] === 'expires' ? word.replace(/sec$/, '') : word))
  const after = (name: string): string | undefined => {
    const at = words.indexOf(name)
    return at < 0 ? undefined : words[at + 1]
  }
  const metric = Number(after('metric') ?? (family === 6 ? DEFAULT_METRIC6 : 0))
  const compound = multipath || words.includes('nexthop') || words.includes('nhid')
  return {family, gateway: after('via'), device: after('dev'), metric, compound, words}
}

/** The words of `ip route replace` for the same route through another gateway. */
export const throughGateway = ({words}: GuestRoute, gateway: Ipv4 | Ipv6): readonly string[] =>
  words.map((word, i) => (words[i - 1] === 'via' ? gateway : word))

/** The gateway in the answer of `ip route get`; undefined for an on-link destination. */
export const gatewayOf = (output: string): Ipv4 | Ipv6 | undefined =>
  /\bvia (\S+)/.exec(output.split('\n')[0] ?? '')?.[1]

/** What runs in a guest without an agent of ours; everything else about the route stays. */
export const guestCommands = ({v4, v6}: GatewayPair): readonly string[] => [
  ...(v4 === null ? [] : [`ip -4 route replace default via ${v4} (its device, metric and protocol kept)`]),
  ...(v6 === null ? [] : [`ip -6 route replace default via ${v6} (its device, metric and protocol kept)`]),
]
