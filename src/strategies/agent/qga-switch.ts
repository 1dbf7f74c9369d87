// A switch through the QEMU guest agent, for VMs without an agent of ours: `ip route replace` run in the guest, read back,
// and a way back that the guest itself takes if nobody confirms: it needs neither us nor the network then.
import {Failure} from '../../errors.ts'
import type {CommandResult} from '../../net/process/command.ts'
import type {GuestAgent, GuestInterface} from '../../net/stream/qga.ts'
import {type Ipv4, isIpv4, prefixContains, prefixOf} from '../../wire/address.ts'
import type {AgentReason} from '../../wire/agent-message.ts'
import {type Ipv6, ipv6Bytes, isLinkLocal} from '../../wire/ipv6-address.ts'
import {
  type AgentTarget,
  type Conversation,
  type ConversationStage,
  type GatewayPair,
  type Standing,
  type SwitchOrder,
  transportText,
} from './conversation.ts'
import {type GuestRoute, gatewayOf, readDefaultRoutes, throughGateway} from './guest-route.ts'

/** A look-up only: nothing is sent there. RFC 7600 and RFC 6666 keep these free. */
const FAR_AWAY = {4: '192.0.0.8', 6: '100::1'} as const
const PROBE_S = 2
/** Seconds until the guest goes back when the order wants no confirmation: until we have looked. */
const UNCONFIRMED_S = 20

/** Writes the lines "$2.." to file "$1". */
const SAVE = 'f=$1; shift; umask 077; printf "%s\\n" "$@" > "$f"'
/**
 * After "$2" seconds, runs ip(8) with each line of the file "$1", unless the file is gone: whoever removes it first, we
 * or this, decides.
 */
const GO_BACK =
  'sleep "$2"; mv "$1" "$1.due" 2>/dev/null || exit 0; set -f; while read -r line; do ip $line; done < "$1.due"; rm "$1.due"'

/** The way back is kept in the guest under the run's name. */
const fileOf = ({run}: SwitchOrder): string => `/run/gwswitch-${run}`

interface Change {
  readonly route: GuestRoute
  readonly to: Ipv4 | Ipv6
}

/** What keeps it from being done; nothing was changed. */
class Refused extends Error {
  readonly reason: AgentReason
  constructor(reason: AgentReason, detail: string) {
    super(detail)
    this.reason = reason
  }
}

export function qgaConversation(
  target: AgentTarget,
  order: SwitchOrder,
  open: () => Promise<GuestAgent>,
  {world, observe}: ConversationStage,
): Conversation {
  const say = (text: string): void => observe({atNs: world.now(), text: `${target.name}: ${text}`})
  const startNs = world.now()
  const since = (): number => Math.round(Number(world.now() - startNs) / 1e4) / 100
  const at = {receivedMs: null as number | null, appliedMs: null as number | null, confirmedMs: null as number | null}
  let commands = 0
  let opened: Promise<GuestAgent> | undefined
  const guest = async (): Promise<GuestAgent> => {
    if (opened === undefined) {
      say(`asking ${transportText(target.transport)}`)
      opened = open().then((agent) => {
        at.receivedMs ??= since()
        say("the guest's agent answers")
        return agent
      })
    }
    return opened
  }

  async function run(argv: readonly string[], quiet = false): Promise<CommandResult> {
    commands++
    const result = await (await guest()).run(argv)
    if (!quiet) say(`${argv.join(' ')}${result.code === 0 ? '' : `: ${whyOf(result)}`}`)
    return result
  }

  const families = ([4, 6] as const).filter((family) => toOf(order.to, family) !== null)

  const routes = async (family: 4 | 6): Promise<readonly GuestRoute[]> =>
    readDefaultRoutes((await run(['ip', `-${family}`, 'route', 'show'], true)).stdout, family)

  /** The gateways in use, as the kernel decides: another route of a lower metric would show here. */
  async function inUse(): Promise<GatewayPair> {
    const get = async (family: 4 | 6): Promise<string | null> =>
      families.includes(family)
        ? (gatewayOf((await run(['ip', `-${family}`, 'route', 'get', FAR_AWAY[family]], true)).stdout) ?? null)
        : null
    return {v4: await get(4), v6: await get(6)}
  }

  async function plan(nics: readonly GuestInterface[]): Promise<readonly Change[]> {
    const changes: (Change & {readonly nic: GuestInterface})[] = []
    for (const family of families) {
      const to = toOf(order.to, family)!
      const from = toOf(order.from, family)
      const {route, nic} = pickRoute(await routes(family), nics, family)
      if (from !== null && route.gateway !== from)
        throw new Refused('from_gw', `the gateway in use is ${route.gateway}, not ${from}`)
      if (!onLink(nic, to)) throw new Refused('gateway_off_link', `${to} is in no prefix of ${nic.name}`)
      changes.push({route, to, nic})
    }
    for (const {to, nic} of changes) await resolve(to, nic)
    return changes
  }

  /** An echo makes the guest ask for the gateway's MAC; that it answers echoes is not wanted. */
  async function resolve(to: Ipv4 | Ipv6, {name}: GuestInterface): Promise<void> {
    await ping(to, name)
    const {stdout} = await run(['ip', 'neigh', 'show', to, 'dev', name], true)
    if (!/lladdr/.test(stdout) || /FAILED|INCOMPLETE/.test(stdout))
      throw new Refused('gateway_silent', `${to} does not answer ${isIpv4(to) ? 'ARP' : 'ND'} on ${name}`)
  }

  async function ping(to: Ipv4 | Ipv6, device?: string): Promise<boolean> {
    const via = device === undefined ? [] : ['-I', device]
    return (await run(['ping', ...(isIpv4(to) ? [] : ['-6']), '-c', '1', '-W', `${PROBE_S}`, ...via, to])).code === 0
  }

  /** On disk in the guest, and running there, before anything is changed. */
  async function arm(changes: readonly Change[]): Promise<void> {
    const lines = changes.map(({route}) => ipLine(route, route.words))
    const saved = await run(['/bin/sh', '-c', SAVE, 'sh', fileOf(order), ...lines], true)
    if (saved.code !== 0) throw new Refused('persist_failed', `${fileOf(order)} in the guest: ${whyOf(saved)}`)
    const seconds = order.confirmS || UNCONFIRMED_S
    await (await guest()).start(['/bin/sh', '-c', GO_BACK, 'sh', fileOf(order), `${seconds}`])
    say(`armed: it goes back by itself in ${seconds} s (${lines.map((line) => `ip ${line}`).join('; ')})`)
  }

  async function apply(changes: readonly Change[]): Promise<string | undefined> {
    for (const {route, to} of changes) {
      const result = await run(['ip', ...ipLine(route, throughGateway(route, to)).split(' ')])
      if (result.code !== 0) return whyOf(result)
    }
    return undefined
  }

  /** Undefined if the guest's routes are as ordered and a probe answers. */
  async function prove(): Promise<{reason: AgentReason; detail: string} | undefined> {
    const used = await inUse()
    for (const family of families) {
      const [want, is] = [toOf(order.to, family), toOf(used, family)]
      if (is !== want)
        return {reason: 'apply_failed', detail: `read back: the guest sends to ${is ?? 'nobody'}, not to ${want}`}
      const probes = order.probes.filter((probe) => isIpv4(probe) === (family === 4))
      if (probes.length === 0) continue
      const answered = await firstOf(probes, (probe) => ping(probe))
      if (!answered) return {reason: 'probe_failed', detail: `nothing beyond ${want} answers (${probes.join(', ')})`}
    }
    say(`read back: uses ${[used.v4, used.v6].filter(Boolean).join(' and ')}`)
    return undefined
  }

  /** Runs the saved lines; without them, writes the old gateways into what is there now. */
  async function goBack(): Promise<void> {
    const saved = await run(['cat', fileOf(order)], true)
    if (saved.code === 0) {
      for (const line of saved.stdout.split('\n').filter((each) => each !== '')) await run(['ip', ...line.split(' ')])
      await run(['rm', '-f', fileOf(order)], true)
      return
    }
    for (const family of families) {
      const from = toOf(order.from, family)
      const route = (await routes(family)).find(({gateway}) => gateway === toOf(order.to, family))
      if (from !== null && route !== undefined)
        await run(['ip', ...ipLine(route, throughGateway(route, from)).split(' ')])
    }
  }

  const standing = async (
    state: Standing['state'],
    why?: {reason: AgentReason; detail: string},
  ): Promise<Standing> => ({
    state,
    reason: why?.reason ?? null,
    detail: why?.detail ?? null,
    gateways: await inUse(),
    mode: 'replace',
    attempts: commands,
    timing: {...at, agentApplyMs: null, agentConfirmMs: null},
  })

  async function begin(): Promise<Standing> {
    try {
      if (order.mode !== null && order.mode !== 'replace')
        throw new Refused(
          'mode',
          `the QEMU guest agent can only replace the route: ${order.mode} needs gwswitch agent in the VM`,
        )
      if (
        order.confirmS === 0 &&
        !families.every((family) => order.probes.some((probe) => isIpv4(probe) === (family === 4)))
      )
        throw new Refused('no_probe', 'no probe beyond the gateway and no confirmation asked for: give one of them')
      const changes = await plan(pickNics(await (await guest()).interfaces(), target))
      await arm(changes)
      const wrong = await apply(changes)
      if (wrong !== undefined) return await undone({reason: 'apply_failed', detail: wrong})
    } catch (error) {
      if (error instanceof Refused) return standing('refused', {reason: error.reason, detail: error.message})
      throw error
    }
    at.appliedMs = since()
    const wrong = await prove()
    if (wrong !== undefined) return undone(wrong)
    return order.confirmS > 0 ? standing('applied') : confirm()
  }

  async function undone(why: {reason: AgentReason; detail: string}): Promise<Standing> {
    await goBack()
    return standing('rolled_back', why)
  }

  async function confirm(): Promise<Standing> {
    // Whoever takes the file away decides: after this the guest does not go back any more.
    const kept = await run(['rm', fileOf(order)], true)
    const used = await inUse()
    const holds = families.every((family) => toOf(used, family) === toOf(order.to, family))
    if (kept.code !== 0 || !holds) {
      return standing('rolled_back', {
        reason: 'not_confirmed',
        detail: 'the guest had gone back by itself when the confirmation came',
      })
    }
    at.confirmedMs = since()
    say('confirmed: it does not go back any more')
    return standing('confirmed')
  }

  return {
    begin: () => silentlyOr(begin, at),
    confirm: () => silentlyOr(confirm, at),
    rollBack: () =>
      silentlyOr(async () => {
        await goBack()
        const used = await inUse()
        const left = families.every((family) => toOf(used, family) !== toOf(order.to, family))
        return left
          ? standing('rolled_back', {reason: 'requested', detail: 'asked for'})
          : standing('applied', {reason: 'apply_failed', detail: 'the guest still sends to the new gateway'})
      }, at),
    close() {
      void opened?.then((agent) => agent.close()).catch(() => {})
    },
  }
}

/** An agent that is silent or refuses to run programs is a standing, not an error. */
async function silentlyOr(
  work: () => Promise<Standing>,
  timing: Pick<Standing['timing'], 'receivedMs' | 'appliedMs' | 'confirmedMs'>,
): Promise<Standing> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Failure) || (error.kind !== 'silent' && error.kind !== 'refused')) throw error
    return {
      state: error.kind,
      reason: null,
      detail: error.message,
      gateways: {v4: null, v6: null},
      mode: 'replace',
      attempts: 0,
      timing: {...timing, agentApplyMs: null, agentConfirmMs: null},
    }
  }
}

const toOf = ({v4, v6}: GatewayPair, family: 4 | 6): Ipv4 | Ipv6 | null => (family === 4 ? v4 : v6)

const ipLine = ({family}: GuestRoute, words: readonly string[]): string => `-${family} route replace ${words.join(' ')}`

const whyOf = ({code, stderr}: CommandResult): string =>
  stderr.trim().split('\n').at(-1) || `it ended with code ${code}`

/** One, or those that share its MAC: a bond, a VLAN, a bridge or a failover pair, and what it is made of. */
function pickNics(nics: readonly GuestInterface[], {mac, ip, name}: AgentTarget): readonly GuestInterface[] {
  const found = nics.filter((nic) => (mac === null ? nic.addresses.some((each) => each.ip === ip) : nic.mac === mac))
  if (found.length > 0) return found
  throw new Refused('interface', `no interface in ${name} has ${mac === null ? `the address ${ip}` : `MAC ${mac}`}`)
}

function pickRoute(
  all: readonly GuestRoute[],
  nics: readonly GuestInterface[],
  family: 4 | 6,
): {readonly route: GuestRoute; readonly nic: GuestInterface} {
  const [used] = all
  if (used === undefined) throw new Refused('interface', `the guest has no IPv${family} default route`)
  if (used.compound)
    throw new Refused('mode', `the IPv${family} default route has several next hops: there is no one gateway to change`)
  const nic = nics.find(({name}) => name === used.device)
  if (nic === undefined || used.gateway === undefined) {
    throw new Refused(
      'interface',
      `the IPv${family} default route goes out of ${used.device}, not through a gateway on ${nics.map(({name}) => name).join(' or ')}`,
    )
  }
  const same = all.filter(({metric}) => metric === used.metric)
  if (same.length > 1)
    throw new Refused(
      'mode',
      `${same.length} IPv${family} default routes have metric ${used.metric}: replacing one is ambiguous`,
    )
  return {route: used, nic}
}

const onLink = ({addresses}: GuestInterface, gateway: Ipv4 | Ipv6): boolean =>
  isIpv4(gateway)
    ? addresses.some(({ip, length}) => isIpv4(ip) && length < 32 && prefixContains(prefixOf(ip, length), gateway))
    : isLinkLocal(gateway) ||
      addresses.some(({ip, length}) => !isIpv4(ip) && length < 128 && sameBits(ip, gateway, length))

function sameBits(a: Ipv6, b: Ipv6, length: number): boolean {
  const bits = (ip: Ipv6): string => [...ipv6Bytes(ip)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return bits(a).slice(0, length) === bits(b).slice(0, length)
}

async function firstOf<T>(all: readonly T[], test: (each: T) => Promise<boolean>): Promise<boolean> {
  for (const each of all) if (await test(each)) return true
  return false
}
