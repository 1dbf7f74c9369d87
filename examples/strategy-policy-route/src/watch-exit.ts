// By which gateway do a VM's packets leave this router? The VM is asked by echoes that claim to come from far away; its
// answers come in at the leg, and where they go out again is watched.
import {
  anyOf,
  askEgress,
  etherType,
  type Link,
  type NamedGateway,
  type ReceivedFrame,
  type Stage,
  type Test,
} from 'gwswitch'
import type {PolicyRoutePlan} from './plan.ts'

/** What was seen of a VM. */
export interface ExitSeen {
  readonly alive: boolean
  /** Its answers to far away came in at the leg: this router is its gateway. */
  readonly cameIn: boolean
  /** The gateway that they were sent on to: this router itself where they left by its own way; null: not seen to leave. */
  readonly by: NamedGateway | null
}

const ETHERTYPE_IPV4 = 0x0800
/** Offset of the source address in an Ethernet frame with IPv4. */
const SOURCE_AT = 26
/** What came in leaves at once, or when the next hop's MAC is known, which takes one ARP round. */
const LEAVE_MS = 300

export async function watchExit(plan: PolicyRoutePlan, {world, signal}: Stage): Promise<ExitSeen> {
  const from: Test = {offset: SOURCE_AT, size: 4, value: plan.place.table}
  const filter = anyOf([[etherType(ETHERTYPE_IPV4), from]])
  const left: NamedGateway[] = []
  const links: Link[] = []
  try {
    for (const name of new Set([plan.place.leg, plan.upstream])) {
      const link = await world.openLink(name, {filter, outgoing: true})
      links.push(link)
      link.onFrame((frame) => {
        const by = leavesBy(frame, plan)
        if (by) left.push(by)
      })
    }
    const question = {interfaceName: plan.place.leg, vm: plan.vm, vlan: undefined, segment: plan.prefix}
    const seen = await askEgress({...question, enough: ({paths}) => paths.length > 0}, world, signal)
    const cameIn = seen.paths.some(({mac}) => mac === seen.ownMac)
    if (cameIn && left.length === 0) await world.sleep(LEAVE_MS, signal)
    return {alive: seen.alive, cameIn, by: left.at(-1) ?? null}
  } finally {
    await Promise.all(links.map((link) => link.close()))
  }
}

/** Undefined for a frame that does not leave, and for what the VM sent to others on its segment. */
function leavesBy({bytes, packetType}: ReceivedFrame, {gateways, router}: PolicyRoutePlan): NamedGateway | undefined {
  if (packetType !== 'outgoing') return undefined
  const mac = [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
  return gateways.find((gateway) => gateway.mac === mac && gateway.name !== router.name) ?? router
}
