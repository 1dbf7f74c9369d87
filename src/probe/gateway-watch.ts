// Listens for the addresses that gateways use as their own: as senders of ARP requests, and in redundancy hellos.
import type {GatewaySighting} from '../domain/filter/classify.ts'
import {virtualMacProtocol} from '../domain/filter/fhrp.ts'
import type {ReceivedFrame} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import type {Mac} from '../wire/address.ts'
import {ARP_REQUEST} from '../wire/arp.ts'
import {ifWellFormed} from '../wire/error.ts'
import {parseFrame} from '../wire/frames.ts'

/** IPv4 protocol number of VRRP (RFC 5798) and CARP; UDP ports of HSRP and GLBP. */
const VRRP = 112
const HELLO_PORTS = [1985, 3222]

/**
 * Listens on ports for `seconds`; sends nothing. One sighting for each address of each MAC in `macs`, and for each virtual
 * MAC, whoever's.
 * Aborting ends it early with the signal's reason.
 */
export async function watchGateways(
  ports: readonly string[],
  macs: ReadonlySet<Mac>,
  seconds: number,
  world: World,
  signal: AbortSignal,
): Promise<GatewaySighting[]> {
  const seen = new Map<string, GatewaySighting>()
  const links = await Promise.all(ports.map((port) => world.openLink(port, {promiscuous: true, outgoing: true})))
  try {
    for (const link of links) {
      link.onFrame((frame) => {
        const sighting = readGateway(frame, macs)
        if (sighting) seen.set(`${sighting.mac} ${sighting.ip}`, sighting)
      })
    }
    await world.sleep(seconds * 1000, signal)
    return [...seen.values()]
  } finally {
    await Promise.all(links.map((link) => link.close()))
  }
}

function readGateway({bytes}: ReceivedFrame, macs: ReadonlySet<Mac>): GatewaySighting | undefined {
  return ifWellFormed(() => {
    const frame = parseFrame(bytes)
    const mac = frame.ethernet.source
    if (frame.kind === 'arp' && virtualMacProtocol(frame.arp.senderMac) !== undefined) {
      return {mac: frame.arp.senderMac, ip: frame.arp.senderIp}
    }
    if (!macs.has(mac)) return undefined
    if (frame.kind === 'arp') {
      const {operation, senderIp, targetIp} = frame.arp
      return operation === ARP_REQUEST && senderIp !== targetIp ? {mac, ip: senderIp} : undefined
    }
    const isHello =
      (frame.kind === 'udp' && HELLO_PORTS.includes(frame.udp.destinationPort)) ||
      (frame.kind === 'ipv4' && frame.ip.protocol === VRRP)
    return isHello ? {mac, ip: frame.ip.source} : undefined
  })
}
