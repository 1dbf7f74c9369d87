// The server's own FORCERENEWs: sent until the client asks, with the xid and a replay value read anew each time.
import {isActive, type Lease} from '../../domain/dhcp/lease.ts'
import {nextReplay} from '../../domain/dhcp/rules.ts'
import {siteOf} from '../../domain/dhcp/scope.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {serializeForcerenew} from '../../wire/dhcp-auth.ts'
import {DHCPFORCERENEW} from '../../wire/dhcp-options.ts'
import type {EngineOutside} from './engine.ts'
import {forcerenewEvent} from './events.ts'
import type {LeaseHolder} from './holder.ts'

/** What a sender of FORCERENEWs needs of what is outside. */
export type ForcerenewOutside = Pick<EngineOutside, 'now' | 'send' | 'report' | 'warn'>

export interface Forcerenewer {
  /** Whether the client of this lease takes one: it advertised option 145 and got a nonce. */
  takes(lease: Lease, nowMs: number): boolean
  /** Sends one, and again after 1, 2 and 4 s unless the client asks before. @throws Failure if it cannot be stored. */
  start(lease: Lease): void
  /** A replay value for somebody else to use, stored before it is returned. */
  reserveReplay(lease: Lease): bigint
  stop(): void
}

/** The first attempt is at once. */
const AGAIN_MS = [1000, 2000, 4000]

export type After = (ms: number, fn: () => void) => {cancel(): void}

export const afterMs: After = (ms, fn) => {
  const timer = setTimeout(fn, ms)
  return {cancel: () => clearTimeout(timer)}
}

export function forcerenewer(engine: LeaseHolder, outside: ForcerenewOutside, after: After): Forcerenewer {
  const pending = new Map<Mac, {cancel(): void}>()
  const stopListening = engine.onRequest((mac) => {
    pending.get(mac)?.cancel()
    pending.delete(mac)
  })
  const reserveReplay = (lease: Lease): bigint => {
    const replay = nextReplay(lease.replay, outside.now())
    engine.store({...lease, replay})
    return replay
  }
  const takes = (lease: Lease, nowMs: number): boolean =>
    lease.state === 'bound' && isActive(lease, nowMs) && lease.capable145 && lease.nonce !== ''

  const attempt = (segment: string, mac: Mac, ip: Ipv4, number: number): void => {
    pending.delete(mac)
    // A reload may have taken the segment away since, or changed it.
    const scope = engine.facts.scopes.get(segment)
    if (!scope) return
    const lease = engine.book(segment).byIp(ip)
    const nowNs = outside.now()
    if (lease?.mac !== mac || !takes(lease, Number(nowNs / 1_000_000n))) return
    const nonce = Uint8Array.from(lease.nonce.match(/../g)!, (pair) => Number.parseInt(pair, 16))
    const replay = reserveReplay(lease)
    const payload = serializeForcerenew({
      xid: lease.xid,
      ip: lease.ip,
      chaddr: mac,
      serverIdentifier: engine.serverOf(lease),
      authentication: {nonce, replay},
    })
    outside.send([{payload, to: {to: 'client', ip: lease.ip, mac}}])
    engine.counters.send(DHCPFORCERENEW)
    const site = siteOf(scope, mac, engine.directive(segment, mac))
    outside.report?.(forcerenewEvent(lease, scope, site, number, nowNs))
    const wait = AGAIN_MS[number - 1]
    if (wait !== undefined)
      pending.set(
        mac,
        after(wait, () => again(segment, mac, ip, number + 1)),
      )
  }
  const again = (segment: string, mac: Mac, ip: Ipv4, number: number): void => {
    try {
      attempt(segment, mac, ip, number)
    } catch (error) {
      outside.warn('forcerenew', `no FORCERENEW to ${mac}: ${(error as Error).message}`)
    }
  }
  return {
    takes,
    start({segment, mac, ip}) {
      pending.get(mac)?.cancel()
      attempt(segment, mac, ip, 1)
    },
    reserveReplay,
    stop() {
      stopListening()
      for (const timer of pending.values()) timer.cancel()
      pending.clear()
    },
  }
}
