// The command line of `serve site` as a whole: which parts are wanted, and for whom.
import type {Inventory} from '../../domain/inventory/inventory.ts'
import {neededInventory} from '../../domain/inventory/site.ts'
import type {FuseLimits} from '../../domain/movement/fuse.ts'
import {FUSE_LIMITS} from '../../domain/movement/fuse.ts'
import {usage} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {ControlOptions} from './control.ts'
import {type ServeSiteOrder, serveSiteRequest} from './request.ts'
import type {SiteRequest} from './serve.ts'
import {servedBy} from './served.ts'

/** As typed. */
export interface SiteOrder extends Omit<ServeSiteOrder, 'interfaceName'> {
  /** Beacons and notes go by it; default: there are none. */
  readonly interfaceName?: string | undefined
  readonly control?: ControlOptions | undefined
  /** `3/10`; default: that where something beside notes can lead to a switch. */
  readonly fuse?: string | undefined
  /** Whether there is another source of movements. */
  readonly sources: boolean
}

/** @throws Failure `usage` for what cannot be served, `runtime` for an interface that is not there. */
export function siteRequest(
  {interfaceName, control, fuse, sources, ...order}: SiteOrder,
  given: Inventory | undefined,
  interfaces: readonly InterfaceFacts[],
): SiteRequest {
  if (interfaceName === undefined && control === undefined && !sources)
    throw usage(
      'nothing to serve: give -i IF for beacons and notes, --control for orders by a socket, --watch or --events to hear of arrivals',
    )
  const isResident = control !== undefined || sources
  const limits = fuse === undefined ? (isResident ? FUSE_LIMITS : undefined) : readFuse(fuse)
  const notices =
    interfaceName === undefined ? undefined : serveSiteRequest({...order, interfaceName}, given, interfaces)
  // With the site's key, where one was given.
  const inventory = notices?.inventory ?? neededInventory(given)
  const served = servedBy(inventory, order.site, isResident ? undefined : notices?.segment.name)
  return {served, dryRun: order.dryRun, notices, control, fuse: limits}
}

function readFuse(text: string): FuseLimits {
  const [, failures = 0, of = 0] = (/^(\d{1,3})\/(\d{1,3})$/.exec(text) ?? []).map(Number)
  if (failures >= 1 && of >= failures) return {failures, of}
  throw usage(`--fuse ${JSON.stringify(text)} is not K/N (want 3/10: three of the last ten VMs)`)
}
