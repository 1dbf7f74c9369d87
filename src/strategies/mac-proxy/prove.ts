// Where do the VM's packets leave the bridge to? The VM cannot say: to it nothing has changed. So an echo from off the
// segment makes it send one, and what comes out of the bridge's other ports is looked at.
import type {Link} from '../../net/packet/link.ts'
import {startSchedule} from '../../probe/schedule.ts'
import type {WatchedVm} from '../../probe/sighting.ts'
import {echoFrame, readSighting, vmFilter} from '../../probe/vm-watch.ts'
import {type Mac, readPrefix} from '../../wire/address.ts'
import {vlanTag} from '../../wire/ethernet.ts'
import type {Stage} from '../strategy.ts'
import type {MacProxyPlan} from './plan.ts'

/** Nobody's address (RFC 5737): the VM can answer to it only through its default gateway. */
const OFF_SEGMENT = '192.0.2.1'
/** Echoes go out at these offsets, ms, until an answer is seen to leave. */
const ROUNDS_MS = [0, 100, 300, 700, 1500]
const LISTEN_MS = 1000

export interface Proof {
  /** The MAC to which the VM's packets leave the bridge, and where. */
  readonly leaves: {readonly mac: Mac; readonly port: string; readonly by: string} | undefined
  /** The MAC to which the VM itself sends them. */
  readonly sends: Mac | undefined
}

/** Waits for a packet to `wanted`; ends early with it, and after the last round with what was seen instead. */
export async function prove(plan: MacProxyPlan, wanted: Mac, {world, signal, observe}: Stage): Promise<Proof> {
  const vm: WatchedVm = {...plan.vm, vlan: vlanTag(plan.vlan)}
  const echo = {gatewayIp: plan.from.ip, identifier: Math.floor(world.random() * 0x10000), from: OFF_SEGMENT}
  const segment = readPrefix(plan.segment.prefix)
  const done = new AbortController()
  let leaves: Proof['leaves']
  let sends: Mac | undefined
  const links: Link[] = []
  const open = async (name: string, take: (link: Link) => void): Promise<Link> => {
    const link = await world.openLink(name, {filter: vmFilter(vm, true), promiscuous: true, outgoing: true})
    links.push(link)
    take(link)
    return link
  }
  try {
    const port = await open(plan.port, (link) =>
      link.onFrame((frame) => {
        sends = readSighting(frame, vm, echo, segment)?.destinationMac ?? sends
      }),
    )
    for (const name of plan.watch) {
      await open(name, (link) =>
        link.onFrame((frame) => {
          const seen = readSighting(frame, vm, echo, segment)
          if (seen?.kind !== 'echo-reply' && seen?.kind !== 'traffic') return
          // The first port for a MAC: a bridge that does not know yet where it is sends copies out of all.
          if (seen.destinationMac !== leaves?.mac) {
            observe({atNs: seen.atNs, text: `a packet of ${plan.vm.name} leaves ${name} for ${seen.destinationMac}`})
            leaves = {mac: seen.destinationMac, port: name, by: seen.kind}
          }
          if (seen.destinationMac === wanted) done.abort()
        }),
      )
    }
    const schedule = startSchedule(world, signal)
    for (const [round, atMs] of [...ROUNDS_MS, ROUNDS_MS.at(-1)! + LISTEN_MS].entries()) {
      await schedule.until(atMs, done.signal)
      if (done.signal.aborted || round === ROUNDS_MS.length) break
      const atNs = port.send(echoFrame(port, vm, echo, round + 1))
      observe({atNs, text: `${OFF_SEGMENT} pings ${plan.vm.ip} through ${plan.port}, sequence ${round + 1}`})
    }
    return {leaves, sends}
  } finally {
    await Promise.all(links.map((link) => link.close()))
  }
}
