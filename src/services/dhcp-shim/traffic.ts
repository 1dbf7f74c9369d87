// What passes the shim: replies go on, changed or not, requests are remembered, and FORCERENEWs go to who waits for one.
import type {ExchangeEvent} from '../../domain/dhcp/control.ts'
import type {Departure} from '../../domain/dhcp/server-events.ts'
import type {ShimRules} from '../../domain/dhcp/shim.ts'
import type {ShimClients} from '../../domain/dhcp/shim-clients.ts'
import {shimFrame} from '../../domain/dhcp/shim-frame.ts'
import {Failure} from '../../errors.ts'
import type {LoggedFrame} from '../../net/netlink/nflog-message.ts'
import type {FrameSender} from '../../net/packet/frame-sender.ts'
import {forcerenewFrame} from '../../strategies/dhcp/forcerenew.ts'
import {exchangeEvent} from '../dhcp/events.ts'
import type {ShimHolder} from './holder.ts'
import type {ShimCounters} from './order.ts'
import type {VmPort} from './ports.ts'

/** All that is needed to send a reply on. */
export interface Traffic {
  readonly clients: ShimClients
  readonly holder: ShimHolder
  readonly sender: FrameSender
  readonly counters: ShimCounters
  rules(): ShimRules
  ports(): readonly VmPort[]
  now(): bigint
  say(fields: Readonly<Record<string, string | number | undefined>>): void
  /** Told of every exchange that ended. */
  report(event: ExchangeEvent): void
}

/** Of a port that came since they were looked at: as nearly all have it. */
const DEFAULT_MTU = 1500

/** Sends a reply on, changed or not, and says so. */
export function passReply(traffic: Traffic, {bytes, outIndex}: LoggedFrame): void {
  if (outIndex === undefined) return
  const {clients, sender, counters, say} = traffic
  const port = traffic.ports().find(({index}) => index === outIndex)
  const way = {index: outIndex, mtu: port?.mtu ?? DEFAULT_MTU}
  const nowNs = traffic.now()
  const {frame, verdict, message} = shimFrame(bytes, way.mtu, traffic.rules(), (ack) => clients.grant(ack, way, nowNs))
  const of = {type: verdict.type, vm: verdict.vm?.name, ip: verdict.ip}
  const error = sender.send(outIndex, frame)
  const by = {port: port?.name ?? `${outIndex}`}
  if (error !== undefined) {
    counters.failed++
    say({event: 'failed', ...of, reason: error, ...by})
    return
  }
  counters[verdict.kind]++
  say({event: verdict.kind, ...of, ...(verdict.kind === 'changed' ? verdict.changes : {reason: verdict.reason}), ...by})
  if (message !== undefined && verdict.vm !== undefined) learn(traffic, message, outIndex, nowNs)
}

function learn({clients, holder, report}: Traffic, message: Uint8Array, portIndex: number, nowNs: bigint): void {
  const answer = clients.answered(message, portIndex, nowNs)
  if (answer === undefined) return
  const {request, type, lease} = answer
  const {mac} = request
  holder.requested(mac)
  const scope = [...holder.facts.scopes.values()].find(({reservations}) => reservations.has(mac))
  if (scope === undefined) return
  const said = {reply: {type}, reason: undefined, ip: lease?.ip, router: lease?.router || undefined}
  report(exchangeEvent(request, scope, said, holder.directive(scope.segment, mac), nowNs))
}

/** No server's: an answer of ICMP would be taken for one to that. */
const SOURCE_PORT = 20_067

/** Each out of the port that its client is at, as that client's frames are tagged. @throws Failure for one that does not go. */
export function sendForcerenews({clients, ports, sender}: Traffic, departures: readonly Departure[]): void {
  for (const {payload, to} of departures) {
    const lease = to.to === 'client' ? clients.leases.get(to.mac) : undefined
    const port = ports().find(({index}) => index === lease?.portIndex)
    if (lease === undefined || port === undefined)
      throw new Failure('refused', 'its client is at no port of this host, as far as the bridges have learned')
    const from = {mac: port.mac, ip: lease.serverIdentifier, port: SOURCE_PORT, vlan: lease.vlan}
    const error = sender.send(port.index, forcerenewFrame(payload, lease, from))
    if (error !== undefined) throw new Failure('runtime', `${port.name}: ${error}`)
  }
}
