// An exchange as watchers and the log get it.
import type {ExchangeEvent, LeaseRow} from '../../domain/dhcp/control.ts'
import {type Directive, isActive, type Lease} from '../../domain/dhcp/lease.ts'
import type {ClientRequest} from '../../domain/dhcp/request.ts'
import type {Answer} from '../../domain/dhcp/rules.ts'
import {routersAt, type Sites, siteOf} from '../../domain/dhcp/scope.ts'
import {ANY_IPV4} from '../../wire/address.ts'
import {DHCPFORCERENEW, dhcpMessageTypeName} from '../../wire/dhcp-options.ts'

export const isoTime = (ms: number): string => new Date(ms).toISOString()
export const xidText = (xid: number): string => `0x${xid.toString(16).padStart(8, '0')}`

type Told = Pick<Answer, 'reason' | 'ip' | 'router'> & {readonly reply: {readonly type: number} | undefined}

export function exchangeEvent(
  request: ClientRequest,
  scope: Sites,
  {reply, reason, ip, router}: Told,
  directive: Directive | undefined,
  nowNs: bigint,
): ExchangeEvent {
  const {mac, message} = request
  return {
    at: isoTime(Number(nowNs / 1_000_000n)),
    atNs: `${nowNs}`,
    vm: scope.reservations.get(mac)?.vm,
    segment: scope.segment,
    mac,
    ip,
    message: dhcpMessageTypeName(request.type),
    state: request.state,
    answer: reply && dhcpMessageTypeName(reply.type),
    reason,
    router,
    site: siteOf(scope, mac, directive),
    xid: xidText(message.xid),
    relay: message.giaddr === ANY_IPV4 ? undefined : message.giaddr,
    capable145: request.capable145,
  }
}

/** A FORCERENEW that the server sent; `attempt` counts from 1. */
export const forcerenewEvent = (
  lease: Lease,
  scope: Sites,
  site: string | undefined,
  attempt: number,
  nowNs: bigint,
): ExchangeEvent => ({
  at: isoTime(Number(nowNs / 1_000_000n)),
  atNs: `${nowNs}`,
  vm: scope.reservations.get(lease.mac)?.vm,
  segment: scope.segment,
  mac: lease.mac,
  ip: lease.ip,
  message: undefined,
  state: undefined,
  answer: dhcpMessageTypeName(DHCPFORCERENEW),
  reason: attempt > 1 ? `attempt ${attempt}` : undefined,
  router: routersAt(scope, site)[0],
  site,
  xid: xidText(lease.xid),
  relay: undefined,
  capable145: lease.capable145,
})

export function leaseRow(lease: Lease, scope: Sites, directive: Directive | undefined, nowMs: number): LeaseRow {
  const site = siteOf(scope, lease.mac, directive)
  return {
    segment: lease.segment,
    vm: scope.reservations.get(lease.mac)?.vm,
    ip: lease.ip,
    mac: lease.mac,
    client: lease.client,
    state: isActive(lease, nowMs) || lease.state === 'released' ? lease.state : 'expired',
    expires: isoTime(lease.expiresAtMs),
    lastSeen: isoTime(lease.lastSeenMs),
    site,
    router: lease.router || undefined,
    nextRouter: routersAt(scope, site)[0],
    capable145: lease.capable145,
    hostName: lease.hostName || undefined,
  }
}
