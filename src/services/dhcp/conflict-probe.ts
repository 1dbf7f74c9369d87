// Does somebody use this address already? Asked before it is offered for the first time (RFC 2131 3.1, 2).
import type {Holder} from '../../domain/dhcp/conflict.ts'
import type {EchoSocket} from '../../net/dhcp/dhcp-echo.ts'
import type {Link} from '../../net/packet/link.ts'
import {ANY_IPV4, BROADCAST, type Ipv4, type Mac, ZERO_MAC} from '../../wire/address.ts'
import {ARP_REQUEST, parseArp} from '../../wire/arp.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_ARP, parseEthernet} from '../../wire/ethernet.ts'
import {arpFrame} from '../../wire/frames.ts'

export interface ConflictProbe {
  /** Resolves to who but `client` answers for `ip`: by ARP on the segment, by ICMP echo behind a relay. */
  probe(ip: Ipv4, client: Mac, relay: Ipv4 | undefined): Promise<Holder | undefined>
  /** An echo reply came. */
  onEcho(from: Ipv4): void
  close(): void
}

export interface ConflictProbeOptions {
  /** How long to wait for an answer, ms. */
  readonly waitMs: number
  /** For clients behind relays; undefined does not ask there. */
  readonly echo: Pick<EchoSocket, 'send'> | undefined
  sleep(ms: number): Promise<void>
}

interface Waiting {
  readonly client: Mac
  used(by: Holder): void
}

export function conflictProbe(link: Link, {waitMs, echo, sleep}: ConflictProbeOptions): ConflictProbe {
  const waiting = new Map<Ipv4, Waiting>()
  const stop = link.onFrame(({bytes}) => {
    if (waiting.size === 0) return
    const seen = senderOf(bytes)
    const asked = seen && waiting.get(seen.ip)
    // The client itself may still have it from an earlier life.
    if (asked && seen.mac !== asked.client && seen.mac !== link.mac) asked.used({mac: seen.mac})
  })
  const ask = (ip: Ipv4, relay: Ipv4 | undefined, sequence: number): void => {
    if (relay !== undefined) echo?.send(ip, sequence)
    else link.send(arpFrame({destination: BROADCAST, source: link.mac}, probeOf(ip, link.mac)))
  }
  return {
    async probe(ip, client, relay) {
      if (relay !== undefined && !echo) return undefined
      const {promise, resolve} = Promise.withResolvers<Holder>()
      waiting.set(ip, {client, used: resolve})
      try {
        // Twice, since one frame may be lost and an address used twice costs more than a frame.
        const silent = (async () => {
          ask(ip, relay, 1)
          await sleep(waitMs / 2)
          ask(ip, relay, 2)
          await sleep(waitMs / 2)
          return undefined
        })()
        return await Promise.race([promise, silent])
      } finally {
        waiting.delete(ip)
      }
    },
    onEcho: (from) => waiting.get(from)?.used({mac: undefined}),
    close: stop,
  }
}

/** An ARP probe (RFC 5227 2.1.1): with no sender address, it changes nobody's table. */
const probeOf = (ip: Ipv4, mac: Mac) => ({
  operation: ARP_REQUEST,
  senderMac: mac,
  senderIp: ANY_IPV4,
  targetMac: ZERO_MAC,
  targetIp: ip,
})

function senderOf(bytes: Uint8Array): {ip: Ipv4; mac: Mac} | undefined {
  return ifWellFormed(() => {
    const frame = parseEthernet(bytes)
    if (frame.etherType !== ETHERTYPE_ARP) return undefined
    const {senderIp, senderMac} = parseArp(frame.payload)
    return {ip: senderIp, mac: senderMac}
  })
}
