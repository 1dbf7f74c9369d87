// Replies on their way: relays and clients behind routers by UDP, clients on the segment by raw frames, since an address
// they do not have yet answers no ARP.
import type {Departure} from '../../domain/dhcp/server-events.ts'
import type {DhcpSocket, OutgoingDatagram} from '../../net/dhcp/dhcp-socket.ts'
import type {Link} from '../../net/packet/link.ts'
import {BROADCAST, type Ipv4, type Prefix, prefixContains} from '../../wire/address.ts'
import {DHCP_CLIENT_PORT, DHCP_SERVER_PORT} from '../../wire/dhcp.ts'
import {udpFrame} from '../../wire/frames.ts'

/**
 * Replies at once, and for every millisecond after. It is what a relay, or a load generator, can take in while it sends as
 * many itself: what comes faster after a halt overflows its receive buffer, and everybody asks again.
 */
const BURST = 40
/** When the event loop was late: more at once would be what the pace is there to prevent. */
const MOST = 64
/** Replies that wait, some 50 ms of them. More come too late, and cost memory. */
const LIMIT = 2048

export interface Transport {
  /** Sends at most {@link BURST} at once, and the rest a millisecond apart, in order. What exceeds {@link LIMIT} is lost. */
  send(departures: readonly Departure[]): void
  /** What still waits is not sent. */
  stop(): void
}

/** Frames that the interface does not take are reported and lost, as on any wire. */
export function transport(
  socket: DhcpSocket,
  link: Link,
  local: {readonly ip: Ipv4; readonly prefix: Prefix},
  warn: (key: string, line: string) => void,
): Transport {
  const frame = (payload: Uint8Array, mac: string, ip: Ipv4): Uint8Array =>
    udpFrame(
      {destination: mac, source: link.mac},
      {source: local.ip, destination: ip, dontFragment: false},
      {sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT, payload},
    )
  const sendNow = (departures: readonly Departure[]): void => {
    const datagrams: OutgoingDatagram[] = []
    const frames: Uint8Array[] = []
    for (const {payload, to} of departures) {
      if (to.to === 'relay') datagrams.push({payload, ip: to.ip, port: DHCP_SERVER_PORT})
      else if (to.to === 'all') frames.push(frame(payload, BROADCAST, '255.255.255.255'))
      else if (prefixContains(local.prefix, to.ip)) frames.push(frame(payload, to.mac, to.ip))
      else datagrams.push({payload, ip: to.ip, port: DHCP_CLIENT_PORT})
    }
    const refused = datagrams.length > 0 ? socket.send(datagrams) : 0
    if (refused > 0) warn('send', `${refused} of ${datagrams.length} replies have no way out`)
    if (frames.length === 0) return
    try {
      if (link.sendMany(frames) < frames.length) warn('send', `the queue of ${link.name} is full: replies are lost`)
    } catch (error) {
      warn('send', `${link.name}: ${(error as Error).message}`)
    }
  }
  let waiting: Departure[] = []
  let timer: NodeJS.Timeout | undefined
  let sentMs = 0
  const next = (): void => {
    const nowMs = performance.now()
    // A busy event loop comes here late, and makes up for it.
    const share = Math.min(MOST, Math.max(BURST, Math.floor((nowMs - sentMs) * BURST)))
    sentMs = nowMs
    sendNow(waiting.slice(0, share))
    waiting = waiting.slice(share)
    timer = waiting.length > 0 ? setTimeout(next, 1) : undefined
  }
  return {
    send(departures) {
      if (timer === undefined && departures.length <= BURST) return sendNow(departures)
      const room = LIMIT - waiting.length
      if (departures.length > room) warn('send', 'more replies than can leave in time: some are lost')
      waiting.push(...departures.slice(0, Math.max(0, room)))
      if (timer === undefined) next()
    },
    stop() {
      clearTimeout(timer)
      waiting = []
    },
  }
}
