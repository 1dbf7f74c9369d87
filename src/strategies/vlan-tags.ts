// The tag of a segment's frames where this host touches it. A bridge that keeps VLANs apart has one at each port, and its own.
import type {Segment} from '../domain/inventory/site.ts'
import {learnedVlan, neededPlaces, placesOf} from '../domain/who-places.ts'
import type {World} from '../net/world.ts'
import type {Mac} from '../wire/address.ts'

export interface VlanTags {
  /** At the interface; null: none. */
  readonly tag: number | null
  /** At the bridge that it is a port of; null: none. A text: why nothing of the segment passes there. */
  readonly bridge: number | null | string
  /** The VLAN of the segment in that bridge; undefined: it keeps none apart, or nobody knows. */
  readonly id?: number
}

/** What somebody said of the interface holds for its bridge too. */
export const saidTag = (tag: number): VlanTags => ({tag, bridge: tag})

const NO_TAGS: VlanTags = {tag: null, bridge: null}

/**
 * By the inventory's `vlan`, else by where the bridge has learned these MACs. Untagged where the bridge keeps no VLANs apart.
 * @throws Failure `usage` for a port that is not in the VLAN.
 */
export async function vlanTags(
  name: string,
  {portOf, isBridge}: {readonly portOf: string | undefined; readonly isBridge: boolean},
  segment: Pick<Segment, 'name' | 'vlan' | 'ports'>,
  macs: readonly Mac[],
  world: Pick<World, 'hostLinks' | 'learned'>,
): Promise<VlanTags> {
  const bridge = portOf ?? (isBridge ? name : undefined)
  if (bridge === undefined || segment.vlan === 'untagged') return NO_TAGS
  const learned = (await world.learned?.(bridge).catch(() => [])) ?? []
  const id = segment.vlan ?? learnedVlan(new Set(macs), learned)
  if (id === undefined) return NO_TAGS
  const links = (await world.hostLinks?.()) ?? []
  if (!links.some((link) => link.name === bridge && link.vlanAware)) return NO_TAGS
  const places = placesOf(id, segment, [name], links, undefined)
  neededPlaces(segment.name, places)
  const [{tag = null, bridge: beside} = {}] = places.places
  if (beside && 'apart' in beside) return {tag, bridge: beside.apart, id}
  return {tag, bridge: beside?.tag ?? null, id}
}
