// What the other server of the segment says: taken, and the client made to ask if it is this server's.
import {Failure} from '../../errors.ts'
import type {JsonLines, JsonSession} from '../../net/stream/json-lines.ts'
import type {Engine, EngineOutside} from './engine.ts'
import type {Forcerenewer} from './forcerenew.ts'
import {whereOf} from './guarded.ts'
import {misfit, type PeerAnswer, type PeerSelf, readPeerRequest, type Told} from './peer-message.ts'

export interface PeerParts {
  readonly self: PeerSelf
  readonly engine: Engine
  readonly forcerenewer: Forcerenewer
  nowMs(): number
  warn: EngineOutside['warn']
}

/** One connection of the peer. Whatever is not taken is answered with why. `onPeer`: the first of it was taken. */
export function peerSession(parts: PeerParts, lines: JsonLines, onPeer: () => void = () => {}): JsonSession {
  let isNew = true
  const answer = (said: PeerAnswer): void => void lines.send(said)
  return {
    onLine(line) {
      try {
        const {self, told} = readPeerRequest(line)
        const why = misfit(parts.self, self)
        if (why !== undefined) return answer({ok: false, error: why})
        const news = parts.engine.take(told.map(({directive}) => directive))
        answer({ok: true})
        for (const {segment, mac} of news) {
          const found = told.find(({directive}) => directive.segment === segment && directive.mac === mac)!
          makeAsk(parts, found)
        }
        // Not earlier: two that take nothing of each other would each have the other one try again at once, for ever.
        if (isNew) onPeer()
        isNew = false
      } catch (error) {
        if (!(error instanceof Failure)) parts.warn('internal', `the peer met an internal error: ${whereOf(error)}`)
        answer({ok: false, error: (error as Error).message})
      }
    },
    onTooLong: () => answer({ok: false, error: 'the line is too long'}),
    onClose: () => {},
  }
}

/** A FORCERENEW to a client that asked this server last: the one that was told does the same for its own. */
function makeAsk({engine, forcerenewer, nowMs, warn}: PeerParts, {directive: {segment, mac}, askSinceMs}: Told): void {
  const scope = engine.facts.scopes.get(segment)
  const lease = scope && engine.book(segment).byMac(mac)
  if (!lease || askSinceMs === undefined || lease.lastSeenMs <= askSinceMs) return
  if (!forcerenewer.takes(lease, nowMs())) return
  try {
    forcerenewer.start(lease)
  } catch (error) {
    warn('forcerenew', `no FORCERENEW to ${mac}: ${(error as Error).message}`)
  }
}
