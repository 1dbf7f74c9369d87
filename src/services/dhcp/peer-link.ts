// Tells the other server of the segment what this one is told: all of it whenever there is a connection anew, and then
// what comes. Whether it was taken is what its answer says.
import type {PeerStatus} from '../../domain/dhcp/control.ts'
import type {Directive} from '../../domain/dhcp/lease.ts'
import type {JsonPeer} from '../../net/stream/json-lines.ts'
import {isoTime} from './events.ts'
import type {After} from './forcerenew.ts'
import {checkPeerAnswer, PEER_PAGE, type PeerRequest, type PeerSelf} from './peer-message.ts'

export type PeerWord = 'taken' | 'unreachable'

export interface PeerLink {
  /**
   * Tells a directive, and what `Told` says of `askSinceMs`. Resolves within a second: `unreachable` is told when there is a
   * connection again.
   */
  tell(directive: Directive, askSinceMs?: number): Promise<PeerWord>
  status(): PeerStatus
  /** The peer is there: if it is not being told, that is tried at once, or once more if it is being tried. */
  retry(): void
  /** Resolves when the connection is closed. */
  stop(): Promise<void>
}

export type PeerConnection = Pick<JsonPeer, 'ask' | 'close' | 'closed'>

export interface PeerOutside {
  /** How it is called in the status and the log. */
  readonly peer: string
  readonly self: PeerSelf
  /** @throws Failure */
  connect(signal: AbortSignal): Promise<PeerConnection>
  directives(): readonly Directive[]
  lastSequence(): number
  nowMs(): number
  readonly after: After
  /** The peer takes what it is told; or why it does not, once for each reason. */
  connected(): void
  lost(why: string): void
}

/** Answers that a command waits for. */
const PATIENCE_MS = 1000
/** Where there is nothing to tell, an answer shows that the peer is there. */
const REST_MS = 5000
const BACK_OFF_MS = {first: 1000, most: 30_000}

interface Pending {
  readonly directive: Directive
  readonly askSinceMs: number | undefined
  settle(word: PeerWord): void
}

export function peerLink(outside: PeerOutside): PeerLink {
  const stopping = new AbortController()
  /** By segment and MAC, while there is a connection. */
  let pending: Map<string, Pending> | undefined
  let wake = (): void => {}
  let state = {connected: false, sinceMs: outside.nowMs()}
  let why: string | undefined
  /** It came while it was being tried. */
  let isThere = false

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = outside.after(ms, resolve)
      wake = () => {
        timer.cancel()
        resolve()
      }
    })

  function queue(directive: Directive, askSinceMs: number | undefined, settle: Pending['settle']): void {
    const client = `${directive.segment} ${directive.mac}`
    // An older word about the client needs no telling any more.
    const older = pending!.get(client)
    pending!.set(client, {
      directive,
      askSinceMs: askSinceMs ?? older?.askSinceMs,
      settle(word) {
        older?.settle(word)
        settle(word)
      },
    })
    wake()
  }

  function nextPage(): Pending[] {
    const page = [...pending!.entries()].slice(0, PEER_PAGE)
    for (const [client] of page) pending!.delete(client)
    return page.map(([, each]) => each)
  }

  async function ask(peer: PeerConnection): Promise<void> {
    const page = nextPage()
    const told = page.map(({directive, askSinceMs}) => ({directive, askSinceMs}))
    let word: PeerWord = 'unreachable'
    try {
      checkPeerAnswer(await peer.ask({self: outside.self, told} satisfies PeerRequest))
      word = 'taken'
      if (!state.connected && pending!.size === 0) {
        state = {connected: true, sinceMs: outside.nowMs()}
        why = undefined
        outside.connected()
      }
    } finally {
      for (const {settle} of page) settle(word)
    }
  }

  async function speak(): Promise<void> {
    const peer = await outside.connect(stopping.signal)
    const close = (): void => peer.close()
    stopping.signal.addEventListener('abort', close, {once: true})
    let isOpen = true
    void peer.closed.then(() => isOpen && wake())
    pending = new Map()
    for (const each of outside.directives()) queue(each, undefined, () => {})
    try {
      while (!stopping.signal.aborted) {
        await ask(peer)
        if (pending.size === 0) await pause(REST_MS)
      }
    } finally {
      isOpen = false
      stopping.signal.removeEventListener('abort', close)
      peer.close()
      for (const {settle} of pending.values()) settle('unreachable')
      pending = undefined
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; failures++) {
      isThere = false
      const error = await speak().catch((thrown: Error) => thrown)
      if (stopping.signal.aborted) return
      if (state.connected) {
        failures = 0
        isThere = false
        state = {connected: false, sinceMs: outside.nowMs()}
      }
      if (error && error.message !== why) {
        why = error.message
        outside.lost(why)
      }
      if (!isThere) await pause(Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** failures))
    }
  }
  const running = run()

  return {
    tell(directive, askSinceMs) {
      if (!pending) return Promise.resolve('unreachable')
      return new Promise((resolve) => {
        const late = outside.after(PATIENCE_MS, () => resolve('unreachable'))
        queue(directive, askSinceMs, (word) => {
          late.cancel()
          resolve(word)
        })
      })
    },
    retry() {
      isThere = true
      wake()
    },
    status: () => ({
      peer: outside.peer,
      connected: state.connected,
      since: isoTime(state.sinceMs),
      lastSequence: outside.lastSequence(),
    }),
    async stop() {
      stopping.abort()
      wake()
      await running
    },
  }
}
