// The control socket of a shim: the same words as that of `serve dhcp`, about clients whose server is somebody else.
import {CONTROL_LINE_LIMIT, type ExchangeEvent, type ShimStatus} from '../../domain/dhcp/control.ts'
import {serveJson} from '../../net/stream/json-lines.ts'
import type {World} from '../../net/world.ts'
import {type ControlParts, controlSession, type Watchers} from '../dhcp/control.ts'
import {isoTime} from '../dhcp/events.ts'
import {afterMs, forcerenewer} from '../dhcp/forcerenew.ts'
import {exchangeLine} from '../dhcp/log.ts'
import type {Peers} from './peers.ts'
import {sendForcerenews, type Traffic} from './traffic.ts'

export interface ControlStage {
  readonly path: string
  readonly world: Pick<World, 'now'>
  readonly watching: Watchers
  readonly peers: Peers
  log(line: string): void
}

/** Connections at once. */
const CONNECTIONS = 64

/** @throws Failure as {@link serveJson} does. */
export async function openControl(
  traffic: Traffic,
  {path, world, watching, peers, log}: ControlStage,
  open: AsyncDisposableStack,
): Promise<void> {
  const {holder} = traffic
  const warn = (_: string, message: string): void => traffic.say({event: 'warning', message})
  const report = (event: ExchangeEvent): void => {
    log(exchangeLine(event))
    watching.tell(event)
  }
  const send = (departures: Parameters<typeof sendForcerenews>[1]): void => sendForcerenews(traffic, departures)
  const renewer = forcerenewer(holder, {now: world.now, send, warn, report}, afterMs)
  open.defer(() => renewer.stop())
  const nowMs = (): number => Number(world.now() / 1_000_000n)
  const since = isoTime(nowMs())
  const parts: ControlParts = {
    ...{engine: holder, forcerenewer: renewer, nowMs, watchers: watching, warn},
    status: () => statusOf(traffic, since, watching),
    async learn(request) {
      const mac = request.do === 'transaction' || request.do === 'forcerenew' ? holder.macOf(request.vm) : undefined
      if (mac !== undefined) await peers.find(mac)
    },
  }
  const limits = {lineLimit: CONTROL_LINE_LIMIT, connectionLimit: CONNECTIONS}
  const server = await serveJson(path, limits, (lines) => controlSession(parts, lines))
  open.defer(() => server.close())
}

const statusOf = ({holder, rules, ports, counters}: Traffic, since: string, {size}: Watchers): ShimStatus => ({
  ...{site: rules().site, since, ports: ports().map(({name}) => name)},
  segments: [...holder.facts.scopes.values()].map(({segment, reservations}) => {
    const bound = [...holder.book(segment).all()].length
    return {segment, vms: reservations.size, bound}
  }),
  replies: {...counters},
  watchers: size,
})
