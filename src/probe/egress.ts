// Through which gateway does a VM leave its segment? Asked with an ICMP echo that claims to come from far away: the VM's
// answer goes through its default gateway, so the destination MAC of the answer tells.
import type {World} from '../net/world.ts'
import type {Ipv4, Mac, Prefix} from '../wire/address.ts'
import {ARP_REQUEST} from '../wire/arp.ts'
import {WireError} from '../wire/error.ts'
import type {Vlan} from '../wire/ethernet.ts'
import {parseFrame} from '../wire/frames.ts'
import {type Ipv6, isVersion6} from '../wire/ipv6-address.ts'
import type {EchoIdentity} from './sighting.ts'
import {echoFrame, probeFrame, readSighting, vmFilter} from './vm-watch.ts'

/** The IPv4 dummy address (RFC 7600): nobody has it, and routers do not forward to it, so that the answers end there. */
const FAR_AWAY: Ipv4 = '192.0.0.8'
/** For IPv6 one of the discard-only prefix (RFC 6666): the same is true of it. */
const FAR_AWAY6: Ipv6 = '100::8'
const ROUNDS_MS = [0, 150, 400, 900, 1600]
const LISTEN_MS = 600

export interface EgressQuestion {
  readonly interfaceName: string
  /** One address of it, of either family: each has a default route of its own. */
  readonly vm: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vlan: Vlan | undefined
  readonly segment: Prefix
  /** The gateway that is hoped for: seeing it ends the question at once. */
  readonly hoped: {readonly mac: Mac}
}

export interface Egress {
  /** The MAC that the VM's off-segment traffic goes to, as last seen; undefined if none passed here. */
  readonly mac: Mac | undefined
  /** Addresses that it asked for by ARP: it is about to send there. Seen also where its traffic does not pass. */
  readonly askedFor: readonly Ipv4[]
  /** It answers ARP, or neighbour discovery. */
  readonly alive: boolean
  /** The MAC of the interface that watched. */
  readonly ownMac: Mac
}

/** Sends nothing but the echoes and ARP probes. Aborting ends it with the signal's reason. */
export async function askEgress(question: EgressQuestion, world: World, signal: AbortSignal): Promise<Egress> {
  const vm = {...question.vm, vlan: question.vlan}
  const link = await world.openLink(question.interfaceName, {filter: vmFilter(vm, true), promiscuous: true})
  const farAway = isVersion6(vm.ip) ? FAR_AWAY6 : FAR_AWAY
  const echo: EchoIdentity = {gatewayIp: farAway, identifier: Math.floor(world.random() * 0x10000)}
  const done = new AbortController()
  const asked = new Set<Ipv4>()
  let echoed: Mac | undefined
  let passing: Mac | undefined
  let alive = false
  try {
    link.onFrame((received) => {
      const target = askedAddress(received.bytes, vm)
      if (target !== undefined) asked.add(target)
      const sighting = readSighting(received, vm, echo, question.segment)
      if (!sighting) return
      alive = true
      // Its ordinary traffic may follow a route of its own; the echo follows the default route.
      if (sighting.kind === 'traffic') passing = sighting.destinationMac
      if (sighting.kind !== 'echo-reply') return
      echoed = sighting.destinationMac
      if (echoed === question.hoped.mac) done.abort()
    })
    const startNs = world.now()
    const until = async (atMs: number): Promise<void> => {
      const leftMs = atMs - Number(world.now() - startNs) / 1e6
      signal.throwIfAborted()
      if (leftMs > 0 && !done.signal.aborted)
        await world.sleep(leftMs, AbortSignal.any([signal, done.signal])).catch(() => signal.throwIfAborted())
    }
    for (const [round, atMs] of ROUNDS_MS.entries()) {
      await until(atMs)
      if (done.signal.aborted) break
      link.send(echoFrame(link, vm, echo, round + 1))
      link.send(probeFrame(link, vm))
    }
    await until(ROUNDS_MS.at(-1)! + LISTEN_MS)
    return {mac: echoed ?? passing, askedFor: [...asked], alive, ownMac: link.mac}
  } finally {
    await link.close()
  }
}

/** The address that the VM asks for in an ARP request; undefined for any other frame. */
function askedAddress(bytes: Uint8Array, vm: {readonly mac: Mac; readonly vlan: Vlan | undefined}): Ipv4 | undefined {
  try {
    const frame = parseFrame(bytes)
    if (frame.kind !== 'arp' || frame.arp.operation !== ARP_REQUEST) return undefined
    return frame.ethernet.source === vm.mac && frame.ethernet.vlan?.id === vm.vlan?.id ? frame.arp.targetIp : undefined
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
