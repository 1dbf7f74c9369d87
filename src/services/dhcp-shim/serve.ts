// `gwswitch serve dhcp-shim`: replies of DHCP servers on their way to the VMs here, each with this site's gateway.
import type {ShimRules} from '../../domain/dhcp/shim.ts'
import {shimClients} from '../../domain/dhcp/shim-clients.ts'
import {bridgeFdb, bridgeInterfaces} from '../../net/bridge-ports.ts'
import {openNflog} from '../../net/netlink/nflog-socket.ts'
import {renewElements} from '../../net/nft/live-set.ts'
import {loadNft} from '../../net/nft/nft.ts'
import {openFrameSender} from '../../net/packet/frame-sender.ts'
import type {World} from '../../net/world.ts'
import {localStamp} from '../../wire/local-time.ts'
import {watchers} from '../dhcp/control.ts'
import {logLine} from '../dhcp/log.ts'
import {openControl} from './control.ts'
import {shimHolder} from './holder.ts'
import {documentOf, NO_REPLIES, portsNow, rulesetOf, type ShimDocument, type ShimRequest} from './order.ts'
import {shimPeers} from './peers.ts'
import {vmPorts} from './ports.ts'
import {ALIVE_MS, REQUEST_GROUP, removal, SHIM_GROUP, SHIM_PORTS} from './ruleset.ts'
import {passReply, type Traffic} from './traffic.ts'

export interface ShimStage {
  readonly world: Pick<World, 'now' | 'sleep'>
  /** Aborting it ends the service. */
  readonly signal: AbortSignal
  /** Path of the control socket. */
  readonly control: string
  log(line: string): void
  /** Takes who is to be told when another inventory counts. */
  readonly onReload?: (reload: (next: ShimRequest) => void) => void
}

/** Four renewals in the time that a port stays alive. */
const RENEW_MS = 500

/**
 * Serves until the signal is aborted.
 * @throws Failure `usage` for an interface that is no bridge port, and a control socket that another process has;
 * `privilege` without CAP_NET_ADMIN and CAP_NET_RAW, `runtime` if another shim runs here, or rules cannot be loaded any
 * more. Whatever it throws, no rule is left.
 */
export async function serveShim(request: ShimRequest, stage: ShimStage): Promise<ShimDocument> {
  const {world, signal, control} = stage
  const startedNs = world.now()
  const {elsewhere} = request
  await using open = new AsyncDisposableStack()
  const shim = await openShim(request, stage, open)
  const {traffic, replies} = shim
  const {say, counters} = traffic
  const names = (): string =>
    traffic
      .ports()
      .map(({name}) => name)
      .join(',')
  const warn = (message: string): void => say({event: 'warning', message})
  const ruleset = (): string => rulesetOf({...request, rules: traffic.rules()}, traffic.ports(), shim.uplinks())
  const load = async (event: string): Promise<ShimRules> => {
    const loaded = traffic.rules()
    await loadNft(ruleset())
    for (const {segment, reason} of loaded.leftOut) warn(`segment ${segment} ${reason}`)
    const {site, vms} = loaded
    say({event, site, ports: names(), elsewhere: elsewhere.join(','), vms: vms.size, control})
    return loaded
  }
  try {
    for (let loaded = await load('ready'); ; ) {
      await world.sleep(RENEW_MS, signal).catch(() => {})
      if (signal.aborted) break
      const before = names()
      shim.lookAtPorts()
      if (names() !== before) say({event: 'ports', ports: names()})
      if (loaded !== traffic.rules()) loaded = await load('reloaded')
      else await renew(traffic, ruleset)
      if (replies.overruns() > counters.overruns) warn('replies came faster than they were taken, and some are lost')
      counters.overruns = replies.overruns()
    }
  } finally {
    // What was taken until the rule was gone still goes on.
    await loadNft(removal())
    replies.drain()
  }
  const seconds = Number(world.now() - startedNs) / 1e9
  return documentOf({...request, rules: traffic.rules()}, traffic.ports(), counters, seconds)
}

/** Sockets, and what they are read for; the rules that feed them are not loaded yet. */
async function openShim(request: ShimRequest, {world, control, log, onReload}: ShimStage, open: AsyncDisposableStack) {
  const {elsewhere, secret} = request
  let {rules} = request
  let found = portsNow(request)
  const counters = {...NO_REPLIES}
  const sender = openFrameSender()
  open.defer(() => sender.close())
  const watching = watchers()
  const clients = shimClients(rules.vms, secret)
  const ports = () => found.ports
  const uplinks = () => found.uplinks
  const nowMs = (): number => Number(world.now() / 1_000_000n)
  const holder = shimHolder(rules, clients, {
    nowMs,
    onForcerenew: () => counters.forcerenews++,
    portName: (index) => ports().find((port) => port.index === index)?.name,
  })
  const traffic: Traffic = {
    ...{clients, holder, sender, counters, ports, now: world.now, report: watching.tell},
    say: (fields) => log(logLine({at: localStamp(nowMs()), ...fields})),
    rules: () => rules,
  }
  const outside = {clients, sender, ports, uplinks, secret, world}
  const peers = shimPeers({...outside, scope: () => rules, learned: bridgeFdb})
  const requests = openNflog(REQUEST_GROUP, ({bytes, inIndex}) => {
    if (inIndex === undefined) return
    if (uplinks().some(({index}) => index === inIndex)) peers.heard(bytes, inIndex)
    else clients.heard(bytes, inIndex)
  })
  open.defer(() => requests.close())
  const replies = openNflog(SHIM_GROUP, (frame) => {
    // What was asked comes by the other socket, and before.
    requests.drain()
    passReply(traffic, frame)
  })
  open.defer(() => replies.close())
  await openControl(traffic, {path: control, world, watching, peers, log}, open)
  onReload?.((next) => {
    rules = next.rules
    holder.reload(rules)
  })
  const lookAtPorts = (): void => {
    found = vmPorts(bridgeInterfaces(), elsewhere, rules.interSite)
  }
  return {traffic, replies, uplinks, lookAtPorts}
}

/** Keeps the ports alive. Whoever loads a firewall anew takes the rules away: they are put back. */
async function renew({ports, say}: Traffic, ruleset: () => string): Promise<void> {
  const names = ports().map(({name}) => name)
  const errno = renewElements(SHIM_PORTS, names, ALIVE_MS)
  if (errno === 0) return
  say({event: 'warning', message: `the rules were gone, and are loaded again (errno ${errno})`})
  await loadNft(ruleset())
}
