// Makes a client renew by FORCERENEW and watches what it does: attempt, wait, attempt again with the xid of then.
import type {World} from '../../net/world.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {DhcpClient, Transaction} from './backends/backend.ts'
import type {ClientSighting} from './client-watch.ts'
import {type Forcerenew, forcerenewMessage} from './forcerenew.ts'

/**
 * `acted`: it asked and got an ACK. `refused`: the server answered with a NAK, or with another router than wanted.
 * `unanswered`: it asked, and no server answered. `unreachable`: it has no listener (ICMP port unreachable).
 * `silent`: nothing was seen.
 */
export type Outcome = 'acted' | 'refused' | 'unanswered' | 'unreachable' | 'silent'

/** What a FORCERENEW must carry so that the client takes it, and where that is from. */
export interface Credentials extends Pick<Forcerenew, 'xid' | 'key' | 'serverId'> {
  readonly source: string
}

/** How messages leave: as raw frames on the segment, or as datagrams from elsewhere. */
export interface ReconfigureSender {
  /** Sends one message; returns when, in CLOCK_REALTIME ns. */
  send(client: DhcpClient, message: Uint8Array): Promise<bigint>
  /** Calls `listener` for every sighting of the client from now on; returns what takes it off again. */
  watch(client: DhcpClient, listener: (sighting: ClientSighting) => void): () => void
}

export interface ReconfigureContext {
  readonly world: World
  readonly sender: ReconfigureSender
  /** Called before every attempt. @throws Failure if they are not known. */
  credentials(client: DhcpClient): Promise<Credentials>
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
  /** From the last FORCERENEW to the REQUEST and to the ACK, ms. */
  readonly requestMs: number | undefined
  readonly ackMs: number | undefined
  /** Who told of the ACK. */
  readonly toldBy: 'wire' | 'server' | undefined
  readonly traits: {readonly kind: Transaction['kind']; readonly canListen: boolean | undefined}
  readonly credentials: string | undefined
}

/** How often the server is asked while waiting, ms. */
const ASK_MS = 200
/** How long a REQUEST may stay unanswered before the server counts as silent, ms. */
const ACK_MS = 3000

/** Aborting ends it between attempts with the signal's reason. */
export async function reconfigureClient(client: DhcpClient, context: ReconfigureContext, options: ReconfigureOptions): Promise<ClientReport> {
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

interface Seen {
  sentNs: bigint
  attempts: number
  credentials: Credentials | undefined
  request: Extract<ClientSighting, {kind: 'request'}> | undefined
  ackNs: bigint | undefined
  router: Ipv4 | undefined
  toldBy: ClientReport['toldBy']
  refused: 'nak' | 'port' | undefined
  traits: ClientReport['traits']
}

function startRun(client: DhcpClient, context: ReconfigureContext, options: ReconfigureOptions) {
  const {world, signal} = context
  const seen: Seen = {
    sentNs: world.now(),
    attempts: 0,
    credentials: undefined,
    request: undefined,
    ackNs: undefined,
    router: undefined,
    toldBy: undefined,
    refused: undefined,
    traits: {kind: undefined, canListen: undefined},
  }
  const done = new AbortController()
  const say = (atNs: bigint, text: string): void => context.observe?.({atNs, text: `${client.name}: ${text}`})
  const acked = (atNs: bigint, router: Ipv4 | undefined, toldBy: 'wire' | 'server'): void => {
    if (seen.ackNs !== undefined) return
    Object.assign(seen, {ackNs: atNs, router, toldBy})
    say(atNs, `ACK${router ? ` with router ${router}` : ''}${toldBy === 'server' ? ' (told by the server)' : ''}`)
    done.abort()
  }
  let before: string | undefined

  const stopWatching = context.sender.watch(client, (sighting) => {
    if (seen.attempts === 0 || sighting.atNs < seen.sentNs) return
    if (sighting.kind === 'request') {
      seen.traits = sighting.traits
      if (!seen.request) say(sighting.atNs, sighting.discover ? 'DISCOVER: it begins anew' : 'REQUEST: it renews')
      seen.request ??= sighting
    } else if (sighting.kind === 'ack') acked(sighting.atNs, sighting.router, 'wire')
    else if (sighting.kind === 'nak') {
      say(sighting.atNs, 'NAK from the server')
      seen.refused = 'nak'
      done.abort()
    } else {
      say(sighting.atNs, 'port 68 unreachable: no listener')
      seen.refused = 'port'
      done.abort()
    }
  })

  async function askServer(): Promise<void> {
    const told = await context.transaction?.(client)
    if (!told) return
    seen.traits = {kind: seen.traits.kind ?? told.kind, canListen: seen.traits.canListen ?? told.canListen}
    if (before !== told.serial) acked(world.now(), told.router, 'server')
  }

  return {
    decided: () => done.signal.aborted,
    asked: () => seen.request !== undefined,
    stop: stopWatching,
    async attempt(): Promise<void> {
      signal.throwIfAborted()
      const credentials = await context.credentials(client)
      const told = await context.transaction?.(client)
      before = told?.serial
      if (told) seen.traits = {kind: told.kind, canListen: told.canListen}
      const message = forcerenewMessage({client, ...credentials})
      seen.credentials = credentials
      // Before the call: the answer may be here before it returns.
      seen.sentNs = world.now()
      seen.attempts++
      seen.sentNs = await context.sender.send(client, message)
      say(seen.sentNs, `FORCERENEW, xid ${credentials.xid.toString(16).padStart(8, '0')}, attempt ${seen.attempts}`)
    },
    /** Until `ms` are over or it is decided; asks the server meanwhile. */
    async wait(ms: number): Promise<void> {
      const endNs = world.now() + BigInt(Math.round(ms * 1e6))
      const either = AbortSignal.any([signal, done.signal])
      while (!done.signal.aborted) {
        const leftMs = Number(endNs - world.now()) / 1e6
        if (leftMs <= 0) return
        const nap = context.transaction ? Math.min(ASK_MS, leftMs) : leftMs
        await world.sleep(nap, either).catch(() => signal.throwIfAborted())
        if (!done.signal.aborted) await askServer()
      }
    },
    report(): ClientReport {
      const since = (ns: bigint | undefined): number | undefined => (ns === undefined ? undefined : Number(ns - seen.sentNs) / 1e6)
      return {
        client,
        outcome: outcomeOf(seen, options.router),
        attempts: seen.attempts,
        router: seen.router,
        requestMs: since(seen.request?.atNs),
        ackMs: since(seen.ackNs),
        toldBy: seen.toldBy,
        traits: seen.traits,
        credentials: seen.credentials?.source,
      }
    },
  }
}

function outcomeOf({ackNs, router, refused, request}: Seen, wanted: Ipv4 | undefined): Outcome {
  if (ackNs !== undefined) return wanted !== undefined && router !== undefined && router !== wanted ? 'refused' : 'acted'
  if (refused) return refused === 'nak' ? 'refused' : 'unreachable'
  return request ? 'unanswered' : 'silent'
}
