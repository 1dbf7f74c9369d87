// What a command that tells a VM without a strategy can see of it: the same scene, and so the same questions and codes.

import {findSegment, type Gateway, type Inventory, type Vm} from '../domain/inventory/site.ts'
import {type Family, familyOf} from '../domain/proof/gateway.ts'
import {judgeAfter, type Observation, type Proof, type ProofCode} from '../domain/proof/proof.ts'
import type {InterfaceFacts} from '../net/ip.ts'
import type {World} from '../net/world.ts'
import type {Ipv4, Mac} from '../wire/address.ts'
import type {Ipv6} from '../wire/ipv6-address.ts'
import {type Scene, sceneOf, subjectOf, type TargetSeen} from './scene.ts'

export interface BystanderQuestion {
  readonly vm: Vm
  /** The gateway that it is told to use. */
  readonly to: Gateway
  readonly via: InterfaceFacts
  readonly vlanId?: number | undefined
  /** The families that it is told about; default: those that VM and gateway have. */
  readonly families?: readonly Family[] | undefined
  /** Sessions that began before are meant to stay where they are. */
  readonly keepsSessions?: boolean | undefined
}

/** The scene around a VM of the inventory. */
export async function sceneAround(
  inventory: Inventory,
  {vm, to, via, vlanId, families, keepsSessions = false}: BystanderQuestion,
  world: World,
): Promise<Scene> {
  const segment = findSegment(inventory, vm.segment)!
  // Where there is no other one, nothing is compared with it.
  const from = segment.gateways.find(({name}) => name !== to.name) ?? to
  return sceneOf({vm, segment, from, to, sites: inventory.sites}, {vlanId}, world, via, {
    keepsSessions,
    ...(families && {families}),
  })
}

/** How one address of a VM was seen by whoever told it. */
export interface SeenByTeller {
  readonly ip: Ipv4 | Ipv6
  readonly used: Mac | undefined
  readonly alive: boolean
}

/** The judgement of that, with what the gateway does. */
export function judgeTold(scene: Scene, {ip, used, alive}: SeenByTeller, asked: TargetSeen): Proof {
  const family = familyOf(ip)
  const paths =
    used === undefined ? [] : [{destination: scene.from.ip, mac: used, by: 'echo', answered: false} as const]
  const egress = [{family, paths, alive, rttMs: null, askedFor: [], elsewhere: false}]
  const seen: Observation = {egress, ...asked, old: null}
  return judgeAfter(subjectOf(scene), seen)
}

/** The code where there is no inventory to say what could be asked beyond the gateway. */
export const codeTold = ({used, alive}: Omit<SeenByTeller, 'ip'>, wanted: Mac): ProofCode =>
  used === undefined ? (alive ? 'unverified' : 'silent') : used === wanted ? 'unverified' : 'elsewhere'
