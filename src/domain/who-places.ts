// Where the frames of a segment come and go at a port, and with which tag: VLAN devices, VLAN-aware bridges, trunks.
import {usage} from '../errors.ts'
import type {Mac} from '../wire/address.ts'
import type {Segment} from './inventory/site.ts'

/** An interface of this host, as far as VLANs go. */
export interface VlanPort {
  readonly name: string
  /** The bridge that it is a port of. */
  readonly bridge: string | undefined
  /** A bridge that keeps VLANs apart itself. */
  readonly vlanAware: boolean
  /** The VLAN that it takes out of the device below it. */
  readonly vlanDevice: number | undefined
  /** The VLANs that a VLAN-aware bridge has at this port, or the bridge itself is in. */
  readonly vlans: readonly number[]
  /** Those of them whose frames have no tag there. */
  readonly untaggedVlans: readonly number[]
}

/** A port, and the tag that a segment's frames have there. */
export interface Place {
  readonly port: string
  readonly tag: number | undefined
  /** Whether frames with that tag are the segment's for certain; else whoever answers tells. */
  readonly sure: boolean
  /** How the bridge that the port is of reaches the segment itself, where it keeps VLANs apart; absent: with the same tag. */
  readonly bridge?: {readonly tag: number | undefined} | {readonly apart: string}
}

export interface SegmentPlaces {
  readonly places: readonly Place[]
  /** Why it is at none of the ports; empty where it may be at one. */
  readonly apart: string
}

/**
 * The places of a segment at some ports. `tag`: the operator's own word for all of them.
 * `vlan`: the segment's, or the one that the bridge has learned its MACs in.
 */
export function placesOf(
  vlan: Segment['vlan'],
  {ports: crossing = []}: Pick<Segment, 'ports'>,
  ports: readonly string[],
  host: readonly VlanPort[],
  tag: number | undefined,
): SegmentPlaces {
  if (tag !== undefined) return {places: ports.map((port) => ({port, tag, sure: true})), apart: ''}
  const id = vlan === 'untagged' ? undefined : vlan
  const found = ports.map((port) => (id === undefined ? [undefined] : tagsAt(port, id, crossing.includes(port), host)))
  const places = found.flatMap((tags, i) =>
    typeof tags === 'string'
      ? []
      : tags.map((each) => ({port: ports[i]!, tag: each, sure: tags.length === 1, ...besideOf(ports[i]!, id, host)})),
  )
  const apart = found.filter((tags) => typeof tags === 'string')
  return {places, apart: places.length === 0 ? [...new Set(apart)].join('; ') : ''}
}

/** The tags that a VLAN's frames may have at a port; or why there are none. */
function tagsAt(
  name: string,
  vlan: number,
  crosses: boolean,
  host: readonly VlanPort[],
): readonly (number | undefined)[] | string {
  const port = host.find((each) => each.name === name)
  if (port?.vlanDevice !== undefined)
    return port.vlanDevice === vlan ? [undefined] : `${name} is of VLAN ${port.vlanDevice}, not ${vlan}`
  const bridge = port?.vlanAware ? port : host.find((each) => each.name === port?.bridge)
  if (port && bridge?.vlanAware) {
    if (port.vlans.includes(vlan)) return [port.untaggedVlans.includes(vlan) ? undefined : vlan]
    return notIn(port, bridge.name, vlan, host)
  }
  const isUntagged = host.some((each) => each.vlanDevice === vlan && each.bridge === (port?.bridge ?? name))
  if (isUntagged) return [undefined]
  // The inventory's VLAN is that between the sites: on this side of the bridge the tag may be off.
  return crosses ? [vlan] : [vlan, undefined]
}

function besideOf(name: string, vlan: number | undefined, host: readonly VlanPort[]): Pick<Place, 'bridge'> {
  const port = host.find((each) => each.name === name)
  const bridge = host.find((each) => each.name === port?.bridge)
  if (vlan === undefined || !bridge?.vlanAware) return {}
  if (!bridge.vlans.includes(vlan)) return {bridge: {apart: `${bridge.name} itself is not in VLAN ${vlan}`}}
  return {bridge: {tag: bridge.untaggedVlans.includes(vlan) ? undefined : vlan}}
}

function notIn({name}: VlanPort, bridge: string, vlan: number, host: readonly VlanPort[]): string {
  const has = host.filter((each) => each.vlans.includes(vlan) && (each.bridge === bridge || each.name === bridge))
  const better = has.map((each) => each.name)
  const where =
    better.length === 0
      ? 'nor is any other port of it'
      : `-i ${better.join(' -i ')} ${better.length === 1 ? 'is' : 'are'}`
  return `${bridge} keeps VLANs apart, and ${name === bridge ? `${name} itself` : name} is not in VLAN ${vlan}: ${where}`
}

/** The one VLAN in which a bridge has learned any of these MACs; undefined: none, or several. */
export function learnedVlan(
  macs: ReadonlySet<Mac>,
  learned: readonly {readonly mac: Mac; readonly vlan: number | undefined}[],
): number | undefined {
  const vlans = new Set(learned.flatMap(({mac, vlan}) => (macs.has(mac) ? (vlan ?? []) : [])))
  return vlans.size === 1 ? [...vlans][0] : undefined
}

/** @throws Failure `usage` for a segment that was asked for by name and is at none of the ports. */
export function neededPlaces(segment: string, {apart}: SegmentPlaces): void {
  if (apart !== '') throw usage(`segment ${segment}: ${apart}`)
}
