// The other server of the segment: what was asked for about it, and both directions once it is opened.
import type {Share} from '../../domain/dhcp/serve-request.ts'
import {Failure} from '../../errors.ts'
import {answerJson, jsonPeer} from '../../net/stream/json-lines.ts'
import {connectPsk, listenPsk, type PskPeer, readKeyFile} from '../../net/stream/psk-socket.ts'
import type {Ipv4} from '../../wire/address.ts'
import {type Endpoint, endpointText, readEndpoint} from '../../wire/endpoint.ts'
import type {After} from './forcerenew.ts'
import {type PeerLink, type PeerOutside, peerLink} from './peer-link.ts'
import {PEER_LINE_LIMIT} from './peer-message.ts'
import {type PeerParts, peerSession} from './peer-session.ts'

/** The port that is registered for DHCP failover. */
const PEER_PORT = 647
/** An answer waits for the disk there. */
const ANSWER_MS = 3000
/** The peer has one connection, and for a moment another that it has given up. */
const CONNECTIONS = 8

/** As on the command line. */
export interface PeerOptions {
  /** ADDRESS[:PORT] of the other server. */
  readonly peer?: string | undefined
  /** ADDRESS[:PORT] of this one. */
  readonly listenPeer?: string | undefined
  readonly peerKey?: string | undefined
  readonly share?: Share | undefined
}

/** Both directions. */
export interface Peering {
  /** Listens for the peer, and tells that it came and was understood. @throws Failure `runtime` where it cannot. */
  listen(parts: PeerParts, say: Say, onPeer: () => void): Promise<{close(): Promise<void>}>
  /** Connects to the peer, for as long as it takes. */
  link(parts: PeerParts, say: Say, after: After): PeerLink
}

type Say = (fields: Record<string, string>) => void

/** Undefined if there is no other server. @throws Failure `usage` for the first thing wrong. */
export function peeringOf(options: PeerOptions, serverIdentifier: Ipv4): Peering | undefined {
  const psk = pskOf(options, serverIdentifier)
  return (
    psk && {
      listen: (parts, say, onPeer) => listenForPeer(psk, parts, say, onPeer),
      link: (parts, say, after) => linkToPeer(psk, parts, say, after),
    }
  )
}

function pskOf({peer, listenPeer, peerKey, share}: PeerOptions, serverIdentifier: Ipv4): PskPeer | undefined {
  if (peer === undefined) {
    const stray = listenPeer === undefined ? peerKey && '--peer-key' : '--listen-peer'
    if (!stray) return undefined
    throw new Failure('usage', `${stray} is of no use without --peer ADDRESS, the other server`)
  }
  if (peerKey === undefined)
    throw new Failure('usage', '--peer wants --peer-key FILE: (umask 077; openssl rand -hex 32 >FILE)')
  if (share === undefined)
    throw new Failure('usage', '--peer wants --share 1/2 here and 2/2 there: no address may be given out twice')
  const own =
    listenPeer === undefined ? {address: serverIdentifier, port: PEER_PORT} : endpointOf('--listen-peer', listenPeer)
  return {peer: endpointOf('--peer', peer), own, key: readKeyFile(peerKey)}
}

function endpointOf(name: string, text: string): Endpoint {
  const found = readEndpoint(text, PEER_PORT)
  if (found) return found
  throw new Failure('usage', `${name} ${text}: is not ADDRESS[:PORT] (want 10.0.0.4 or 10.0.0.4:${PEER_PORT})`)
}

function listenForPeer(psk: PskPeer, parts: PeerParts, say: Say, onPeer: () => void): ReturnType<Peering['listen']> {
  let isSaid = false
  const refused = (why: string): void => {
    if (!isSaid) say({event: 'warning', message: `the peer at ${psk.peer.address} is not listened to: ${why}`})
    isSaid = true
  }
  return listenPsk(psk, CONNECTIONS, refused, (socket) => {
    isSaid = false
    answerJson(socket, PEER_LINE_LIMIT, (lines) => peerSession(parts, lines, onPeer))
  })
}

function linkToPeer(psk: PskPeer, {self, engine, nowMs}: PeerParts, say: Say, after: After): PeerLink {
  const peer = endpointText(psk.peer)
  const outside: PeerOutside = {
    ...{peer, self, nowMs},
    connect: async (signal) => jsonPeer(await connectPsk(psk, signal), peer, 'the peer', ANSWER_MS),
    directives: engine.directives,
    lastSequence: () => engine.lastSequence,
    after,
    connected: () => say({event: 'peer', peer, state: 'connected'}),
    lost: (why) => say({event: 'warning', message: `the peer is not told: ${why}; tried again and again`}),
  }
  return peerLink(outside)
}
