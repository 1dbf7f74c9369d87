// What the watch for the VM's site compares: the gateways of the sites that are heard, and the one in use.
import {isIpv4} from '../../wire/address.ts'
import type {Endpoint} from '../../wire/endpoint.ts'
import type {MeasureTarget, SiteWatch, WatchNow} from './site-watch-state.ts'

const TARGET_LIMIT = 8

interface View {
  readonly now: WatchNow
  readonly watch: SiteWatch
}

/** The sites whose beacons count now, each with all that was heard of it. */
export function freshSites({now, watch}: View): Map<string, {gateways: string[]; ask: Endpoint[]}> {
  const sites = new Map<string, {gateways: string[]; ask: Endpoint[]}>()
  for (const {site, gateways, ask, untilMs} of Object.values(watch.heard)) {
    if (untilMs <= now.nowMs) continue
    const known = sites.get(site) ?? {gateways: [], ask: []}
    sites.set(site, {gateways: [...known.gateways, ...gateways], ask: [...known.ask, ...ask]})
  }
  return sites
}

/** What to measure to tell where it is; one or none if there is nothing to compare. */
export function targetsOf(view: View): readonly MeasureTarget[] {
  const sites = [...freshSites(view)]
  const all = sites.flatMap(([, {gateways}]) => gateways)
  const used = usedBeside(view, all)
  return [
    ...(used === undefined || all.includes(used) ? [] : [{site: undefined, address: used}]),
    ...sites.flatMap(([site, {gateways}]) => usual(gateways).map((address) => ({site, address}))),
  ].slice(0, TARGET_LIMIT)
}

/** A measurement is good for as long as it would be of the same. */
export const keyOf = (targets: readonly MeasureTarget[]): string =>
  targets.map(({site = '', address}) => `${site} ${address}`).join(', ')

/** One family is enough; IPv4 where there is any. */
const usual = (gateways: readonly string[]): readonly string[] =>
  gateways.some(isIpv4) ? [...new Set(gateways.filter(isIpv4))] : [...new Set(gateways)]

/** The gateway in use, to be compared with these: of both families IPv4 decides, as one router serves both. */
export function usedBeside({now}: Pick<View, 'now'>, gateways: readonly string[]): string | undefined {
  const {gw4, gw6} = now.gateways()
  return gw4 !== undefined && gateways.some(isIpv4) ? gw4 : gateways.every(isIpv4) ? undefined : gw6
}
