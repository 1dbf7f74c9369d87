// Makes a client renew and watches what it does: attempt, wait twice as long, attempt again.
import type {World} from '../../net/world.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {DhcpClient, Transaction} from './backends/backend.ts'
import type {ClientSighting} from './client-watch.ts'

/**
 * `acted`: it asked and got an ACK. `refused`: the server answered with a NAK, or without the router that was wanted.
 * `unanswered`: it asked, and no server answered. `unreachable`: it has no listener (ICMP port unreachable).
 * `silent`: nothing was seen.
 */
export type Outcome = 'acted' | 'refused' | 'unanswered' | 'unreachable' | 'silent'

/** What makes the client ask. */
export interface Trigger {
  /** Pulls it, anew at every attempt. @throws Failure if something that it takes is not known or out of reach. */
  fire(client: DhcpClient): Promise<{
    /** When, CLOCK_REALTIME ns. */
    readonly atNs: bigint
    /** What was done, for people. */
    readonly text: string
    /** Where the facts for it came from. */
    readonly source?: string
  }>
  /** It works by a NAK: one is no refusal then. */
  readonly byNak?: boolean
}

/** Where the client can be seen. */
export interface ClientWatch {
  /** Calls `listener` for every sighting of the client from now on; returns what takes it off again. */
  watch(client: DhcpClient, listener: (sighting: ClientSighting) => void): () => void
}

export interface ReconfigureStage {
  readonly world: World
  readonly watch: ClientWatch
  readonly trigger: Trigger
  /** The server's own word, asked while waiting; absent where only the wire tells. */
  transaction?(client: DhcpClient): Promise<Transaction | undefined>
  readonly signal: AbortSignal
  /** Told what happens, as it happens. */
  observe?(event: {readonly atNs: bigint; readonly text: string}): void
}

export interface ReconfigureOptions {
  readonly attempts: number
  /** Wait after the first attempt, ms; doubled from attempt to attempt. */
  readonly timeoutMs: number
  /** The router that the ACK must carry; any if undefined. */
  readonly router?: Ipv4 | undefined
}

export interface ClientReport {
  readonly client: DhcpClient
  readonly outcome: Outcome
  readonly attempts: number
  /** Of the ACK. */
  readonly router: Ipv4 | undefined
  /** From the last attempt to the REQUEST and to the ACK, ms. */
  readonly requestMs: number | undefined
  readonly ackMs: number | undefined
  /**
   * Who told of the ACK: a frame; the server, with the router that it carried; or the server, whose log has an ACK, and then
   * the router is what it is configured to give.
   */
  readonly toldBy: 'wire' | 'server' | 'configured' | undefined
  readonly traits: {readonly kind: Transaction['kind']; readonly canListen: boolean | undefined}
  /** Where xid and nonce came from. */
  readonly source: string | undefined
}

/** How often the server is asked while waiting, ms. */
const ASK_MS = 200
/** How long a frame may lag behind the server's log, ms: where the client's REQUEST passed, its ACK is waited for longer. */
const FRAME_MS = 50
const LATE_FRAME_MS = 500
/** How long a REQUEST may stay unanswered before the server counts as silent, ms. */
const ACK_MS = 3000

/** Aborting ends it between attempts with the signal's reason. */
export async function reconfigureClient(
  client: DhcpClient,
  context: ReconfigureStage,
  options: ReconfigureOptions,
): Promise<ClientReport> {
  const run = startRun(client, context, options)
  try {
    for (let attempt = 0; attempt < options.attempts && !run.decided(); attempt++) {
      await run.attempt()
      await run.wait(options.timeoutMs * 2 ** attempt)
      if (run.asked() && !run.decided()) {
        await run.wait(ACK_MS)
        break
      }
    }
    return run.report()
  } finally {
    run.stop()
  }
}

const withRouter = (router: Ipv4): string => ` with router ${router}`
const TOLD_TEXT = {
  wire: withRouter,
  server: withRouter,
  configured: (router: Ipv4): string => `, and ${router} is what it is configured to give`,
} as const

interface Seen {
  sentNs: bigint
  attempts: number
  source: string | undefined
  request: Extract<ClientSighting, {kind: 'request'}> | undefined
  ackNs: bigint | undefined
  router: Ipv4 | undefined
  toldBy: ClientReport['toldBy']
  refused: 'nak' | 'port' | undefined
  traits: ClientReport['traits']
}

function startRun(client: DhcpClient, context: ReconfigureStage, options: ReconfigureOptions) {
  const {world, signal} = context
  const seen: Seen = {
    sentNs: world.now(),
    attempts: 0,
    source: undefined,
    request: undefined,
    ackNs: undefined,
    router: undefined,
    toldBy: undefined,
    refused: undefined,
    traits: {kind: undefined, canListen: undefined},
  }
  const done = new AbortController()
  const say = (atNs: bigint, text: string): void => context.observe?.({atNs, text: `${client.name}: ${text}`})
  const acked = (atNs: bigint, router: Ipv4 | undefined, toldBy: keyof typeof TOLD_TEXT): void => {
    if (seen.ackNs !== undefined) return
    Object.assign(seen, {ackNs: atNs, router, toldBy})
    say(atNs, `ACK${router ? TOLD_TEXT[toldBy](router) : ''}${toldBy === 'wire' ? '' : ' (told by the server)'}`)
    done.abort()
  }
  let before: string | undefined

  const stopWatching = context.watch.watch(client, (sighting) => {
    if (seen.attempts === 0 || sighting.atNs < seen.sentNs) return
    if (sighting.kind === 'request') {
      seen.traits = sighting.traits
      if (!seen.request) say(sighting.atNs, sighting.discover ? 'DISCOVER: it begins anew' : 'REQUEST: it renews')
      seen.request ??= sighting
    } else if (sighting.kind === 'ack') acked(sighting.atNs, sighting.router, 'wire')
    else if (sighting.kind === 'nak') {
      say(sighting.atNs, 'NAK from the server')
      if (context.trigger.byNak) return
      seen.refused = 'nak'
      done.abort()
    } else if (sighting.kind === 'unreachable') {
      say(sighting.atNs, 'port 68 unreachable: no listener')
      seen.refused = 'port'
      done.abort()
    }
  })

  const either = AbortSignal.any([signal, done.signal])
  /** Ends early once it is decided. */
  const nap = (ms: number): Promise<void> => world.sleep(ms, either).catch(() => signal.throwIfAborted())

  async function askServer(): Promise<void> {
    const told = await context.transaction?.(client)
    if (!told) return
    seen.traits = {kind: seen.traits.kind ?? told.kind, canListen: seen.traits.canListen ?? told.canListen}
    if (before === told.serial) return
    // The frame itself, where it can be seen, says more and when; it may still be in the queue, or not even sent.
    const atNs = world.now()
    await nap(FRAME_MS)
    if (seen.request) await nap(LATE_FRAME_MS)
    if (told.acked === undefined) acked(atNs, told.router, 'configured')
    else acked(atNs, told.acked, 'server')
  }

  return {
    decided: () => done.signal.aborted,
    asked: () => seen.request !== undefined,
    stop: stopWatching,
    async attempt(): Promise<void> {
      signal.throwIfAborted()
      const told = await context.transaction?.(client)
      before = told?.serial
      if (told) seen.traits = {kind: told.kind, canListen: told.canListen}
      // Before the call: the answer may be here before it returns.
      seen.sentNs = world.now()
      seen.attempts++
      const {atNs, text, source} = await context.trigger.fire(client)
      seen.sentNs = atNs
      seen.source = source
      say(atNs, `${text}${options.attempts > 1 ? `, attempt ${seen.attempts}` : ''}`)
    },
    /** Until `ms` are over or it is decided; asks the server meanwhile. */
    async wait(ms: number): Promise<void> {
      const endNs = world.now() + BigInt(Math.round(ms * 1e6))
      while (!done.signal.aborted) {
        const leftMs = Number(endNs - world.now()) / 1e6
        if (leftMs <= 0) return
        await nap(context.transaction ? Math.min(ASK_MS, leftMs) : leftMs)
        if (!done.signal.aborted) await askServer()
      }
    },
    report(): ClientReport {
      const since = (ns: bigint | undefined): number | undefined =>
        ns === undefined ? undefined : Number(ns - seen.sentNs) / 1e6
      return {
        client,
        outcome: outcomeOf(seen, options.router),
        attempts: seen.attempts,
        router: seen.router,
        requestMs: since(seen.request?.atNs),
        ackMs: since(seen.ackNs),
        toldBy: seen.toldBy,
        traits: seen.traits,
        source: seen.source,
      }
    },
  }
}

function outcomeOf({ackNs, router, toldBy, refused, request}: Seen, wanted: Ipv4 | undefined): Outcome {
  if (ackNs !== undefined) {
    if (wanted === undefined || router === wanted) return 'acted'
    // An ACK on the wire without a router gives none; a server's word without one leaves it open.
    return router === undefined && toldBy !== 'wire' ? 'acted' : 'refused'
  }
  if (refused) return refused === 'nak' ? 'refused' : 'unreachable'
  return request ? 'unanswered' : 'silent'
}
