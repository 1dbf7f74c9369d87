// What is meant to be on this host, and what was done for it beside nft's tables: the record that is written before the
// kernel is touched, so that nothing is left behind that nobody knows of.
import * as z from 'zod'
import {Failure} from '../../errors.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {FilterIntent} from './intent.ts'
import {filterTable, type NftHook} from './nft-text.ts'

/** A filter as it was applied. */
export interface MeantFilter {
  readonly hook: NftHook
  readonly intent: FilterIntent
}

/** What lets a bridge answer for VMs that have left; more than is really there, after a run that was killed. */
export interface Made {
  /** Permanent neighbour entries on bridges. */
  readonly neighbours: readonly {readonly bridge: string; readonly ip: Ipv4 | Ipv6; readonly mac: Mac}[]
  /** MACs that were fixed in forwarding tables. */
  readonly places: readonly {readonly bridge: string; readonly mac: Mac}[]
  /** Ports on which neigh_suppress was off before. */
  readonly suppressed: readonly string[]
}

export interface FilterRecord {
  readonly filters: readonly MeantFilter[]
  readonly made: Made
}

export const NOTHING_MADE: Made = {neighbours: [], places: [], suppressed: []}
export const NO_RECORD: FilterRecord = {filters: [], made: NOTHING_MADE}

/** The filters that are meant once `added` are applied: each takes the place of the one of its segment and ports. */
export function withFilters(record: FilterRecord, added: readonly MeantFilter[]): MeantFilter[] {
  const tables = new Set(added.map(({intent}) => filterTable(intent)))
  const others = record.filters.filter(({intent}) => !tables.has(filterTable(intent)))
  return [...others, ...added].sort((a, b) => (filterTable(a.intent) < filterTable(b.intent) ? -1 : 1))
}

const neighbourKey = ({bridge, ip, mac}: Made['neighbours'][number]): string => `${bridge} ${ip} ${mac}`
const placeKey = ({bridge, mac}: Made['places'][number]): string => `${bridge} ${mac}`

/** All of both, each once. */
export const madeOf = (...all: readonly Made[]): Made => ({
  neighbours: once(
    all.flatMap(({neighbours}) => neighbours),
    neighbourKey,
  ),
  places: once(
    all.flatMap(({places}) => places),
    placeKey,
  ),
  suppressed: once(
    all.flatMap(({suppressed}) => suppressed),
    (port) => port,
  ),
})

const once = <T>(all: readonly T[], key: (each: T) => string): T[] => [
  ...new Map(all.map((each) => [key(each), each])).values(),
]

/** What is in `all` and not in `others`. */
export function madeWithout(all: Made, others: Made): Made {
  const without = <T>(mine: readonly T[], theirs: readonly T[], key: (each: T) => string): T[] => {
    const keys = new Set(theirs.map(key))
    return mine.filter((each) => !keys.has(key(each)))
  }
  return {
    neighbours: without(all.neighbours, others.neighbours, neighbourKey),
    places: without(all.places, others.places, placeKey),
    suppressed: without(all.suppressed, others.suppressed, (port) => port),
  }
}

export const isNothing = ({neighbours, places, suppressed}: Made): boolean =>
  neighbours.length + places.length + suppressed.length === 0

const texts = z.array(z.string())
const RECORD = z.object({
  version: z.literal(1),
  filters: z.array(
    z.object({
      hook: z.enum(['bridge', 'netdev']),
      intent: z.object({
        segment: z.object({
          segment: z.string(),
          kind: z.enum(['one-site', 'per-site-ip', 'single-ip', 'own-ip-and-vip', 'virtual-mac', 'anycast']),
          shared4: texts,
          shared6: texts,
          sharedMacs: texts,
          gateways: texts,
          because: texts,
        }),
        ports: texts,
        vlan: z.union([z.number(), z.literal('untagged'), z.null()]),
        untagged: texts,
        otherVlans: z.array(z.number()),
        gw4: texts,
        gw6: texts,
        ipv6: z.boolean(),
        macs: texts,
        routers: texts,
        groups: z.array(
          z.object({
            protocol: z.enum(['VRRP', 'HSRP', 'HSRP version 2', 'GLBP']),
            group: z.number(),
            macs: z.array(z.object({value: z.string(), mask: z.string()})),
          }),
        ),
        kept: z.array(z.object({name: z.string(), ip: z.string(), ip6: texts, mac: z.string()})),
      }),
    }),
  ),
  made: z.object({
    neighbours: z.array(z.object({bridge: z.string(), ip: z.string(), mac: z.string()})),
    places: z.array(z.object({bridge: z.string(), mac: z.string()})),
    suppressed: texts,
  }),
})

/** @throws Failure `runtime` for what {@link recordText} does not write. */
export function parseRecord(text: string, file: string): FilterRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const {success, data} = RECORD.safeParse(value)
  if (success) return {filters: data.filters, made: data.made}
  throw new Failure(
    'runtime',
    `${file}: is no record of filters of this version; move it away, then gwswitch filter remove takes away every table that is there`,
  )
}

export const recordText = ({filters, made}: FilterRecord): string =>
  `${JSON.stringify({version: 1, filters, made}, null, 1)}\n`
