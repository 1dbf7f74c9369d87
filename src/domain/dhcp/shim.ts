// What a shim between a server and its clients makes of a reply: this site's gateway in it, and an earlier renewal.
import {ANY_IPV4, type Ipv4, ipv4Value, writeIpv4} from '../../wire/address.ts'
import {BOOTREPLY, type Dhcp, HTYPE_ETHERNET, parseDhcp, serializeDhcp} from '../../wire/dhcp.ts'
import {reconfigureNonce} from '../../wire/dhcp-auth.ts'
import {type DhcpEdits, editDhcpOptions} from '../../wire/dhcp-edit.ts'
import {
  AUTH_PROTOCOL_RECONFIGURE,
  DHCPACK,
  DHCPNAK,
  DHCPOFFER,
  dhcpMessageTypeName,
  dhcpOptions,
  RECONFIGURE_NONCE,
  readOption,
  writeOption,
} from '../../wire/dhcp-options.ts'
import {WireError} from '../../wire/error.ts'
import {copyBytes} from '../../wire/memory.ts'
import {nak, START_OVER} from './reply.ts'
import type {ClientRequest} from './request.ts'
import type {ShimScope, ShimVm} from './shim-scope.ts'

export interface ShimRules extends ShimScope {
  /** Clients renew after this many seconds at the latest; undefined: when the server says. */
  readonly pollS?: number | undefined
}

/** What becomes of an ACK beside this site's gateway in it. */
export interface ShimGrant {
  /** It goes to who sent this, as a NAK. */
  readonly refused?: ClientRequest | undefined
  /** RFC 6704: added where its server adds none, if the message is then no longer than `maximum` bytes. */
  readonly nonce?: {readonly value: Uint8Array; readonly replay: bigint; readonly maximum: number} | undefined
}

/** A reply as far as the shim understood it. */
export interface ShimReply {
  /** `DHCPACK`; undefined for what is no DHCP. */
  readonly type: string | undefined
  readonly vm: ShimVm | undefined
  readonly ip: Ipv4 | undefined
}

export type ShimVerdict = ShimReply &
  (
    | {
        readonly kind: 'changed'
        /** The message as it goes on. */
        readonly message: Uint8Array
        /** What it names and what it named, in words. */
        readonly changes: ShimChanges
      }
    | {readonly kind: 'unchanged'; readonly reason: string}
  )

/** `nonce`: one was added; `answer`: it became a NAK. */
export type ShimChanges = Readonly<Partial<Record<'router' | 'routes' | 't1' | 'nonce' | 'answer', string>>>

/** A lease for ever: its client never asks again (RFC 2131 3.3). */
const INFINITE = 0xffff_ffff
const ROUTES = [dhcpOptions.classlessStaticRoute, dhcpOptions.microsoftClasslessStaticRoute]

/**
 * What becomes of a message from a server (the UDP payload); `grant` is asked about an ACK. Never throws: what it does not
 * understand stays as it is.
 */
export function shimReply(
  bytes: Uint8Array,
  rules: ShimRules,
  grant: (ack: Dhcp) => ShimGrant = () => ({}),
): ShimVerdict {
  let known: ShimReply = {type: undefined, vm: undefined, ip: undefined}
  try {
    const message = parseDhcp(bytes)
    const type = readOption(message.options, dhcpOptions.messageType)
    const vm = message.htype === HTYPE_ETHERNET ? rules.vms.get(message.chaddr) : undefined
    known = {type: type === undefined ? undefined : dhcpMessageTypeName(type), vm, ip: message.yiaddr}
    const reason = whyNot(message, type, vm)
    if (reason !== undefined) return {...known, kind: 'unchanged', reason}
    const {refused, nonce} = type === DHCPACK ? grant(message) : {}
    if (refused !== undefined) return {...known, ...refusal(message, refused)}
    return {...known, ...changed(bytes, message, vm!, {pollS: rules.pollS, nonce})}
  } catch (error) {
    if (error instanceof WireError) return {...known, kind: 'unchanged', reason: error.message}
    throw error
  }
}

function whyNot({op, options}: Dhcp, type: number | undefined, vm: ShimVm | undefined): string | undefined {
  if (op !== BOOTREPLY || type === undefined) return 'no reply of a DHCP server'
  if (vm === undefined) return 'its client is no VM of a segment that is changed here'
  if (type !== DHCPOFFER && type !== DHCPACK) return 'carries no lease'
  const authentication = readOption(options, dhcpOptions.authentication)
  // A nonce (RFC 6704) rides on an ACK, and covers nothing of it; any other protocol signs the whole message.
  const isNonce =
    authentication?.protocol === AUTH_PROTOCOL_RECONFIGURE && authentication.information[0] === RECONFIGURE_NONCE
  return authentication === undefined || isNonce ? undefined : 'authenticated by its server (option 90)'
}

type Outcome = Pick<Extract<ShimVerdict, {kind: 'changed'}>, 'kind' | 'message' | 'changes'>
type Kept = Pick<Extract<ShimVerdict, {kind: 'unchanged'}>, 'kind' | 'reason'>

/** A client that is refused begins anew, and gets the same lease. */
function refusal({options}: Dhcp, request: ClientRequest): Outcome {
  const serverId = readOption(options, dhcpOptions.serverIdentifier) ?? ANY_IPV4
  const message = serializeDhcp(nak(request, serverId, START_OVER))
  return {kind: 'changed', message, changes: {answer: dhcpMessageTypeName(DHCPNAK)}}
}

interface Wishes extends Pick<ShimRules, 'pollS'>, Pick<ShimGrant, 'nonce'> {}

function changed(bytes: Uint8Array, {options}: Dhcp, vm: ShimVm, {pollS, nonce}: Wishes): Outcome | Kept {
  const routers = readOption(options, dhcpOptions.router) ?? []
  const routes = ROUTES.flatMap((codec) => {
    const found = options.find(({code}) => code === codec.code)
    return found ? [{codec, data: found.data, routers: defaultRouters(codec.read(found.data))}] : []
  })
  const named = [...routers, ...routes.flatMap((each) => each.routers)]
  if (named.length === 0) return {kind: 'unchanged', reason: 'names no router'}
  if (!named.some((ip) => vm.local.includes(ip) || vm.foreign.has(ip)))
    return {kind: 'unchanged', reason: `names ${[...new Set(named)].join(', ')}, no gateway of segment ${vm.segment}`}

  const edits = new Map<number, Uint8Array>()
  const changes: {-readonly [what in keyof ShimChanges]: string} = {}
  const put = ({code, data}: {readonly code: number; readonly data: Uint8Array}): unknown => edits.set(code, data)
  if (routers.some((ip) => vm.foreign.has(ip))) {
    const next = localRouters(routers, vm)
    put(writeOption(dhcpOptions.router, next))
    changes.router = `${routers.join(',')}>${next.join(',')}`
  }
  for (const {codec, data, routers: through} of routes) {
    const old = through.filter((ip) => vm.foreign.has(ip))
    if (old.length === 0) continue
    put({code: codec.code, data: localRoutes(data, vm)})
    changes.routes = `${[...new Set(old)].join(',')}>${vm.local[0]}`
  }
  const times = pollS === undefined ? undefined : earlier(options, pollS)
  if (times !== undefined) {
    put(writeOption(dhcpOptions.renewalTime, times.t1S))
    put(writeOption(dhcpOptions.rebindingTime, times.t2S))
    changes.t1 = `${times.wasS}>${times.t1S}`
  }
  const message = (also: DhcpEdits = edits): Uint8Array => editDhcpOptions(bytes, also)
  if (nonce !== undefined && options.every(({code}) => code !== dhcpOptions.authentication.code)) {
    const {code, data} = writeOption(dhcpOptions.authentication, reconfigureNonce(nonce.replay, nonce.value))
    const grown = message(new Map([...edits, [code, data]]))
    if (grown.length <= Math.max(nonce.maximum, bytes.length))
      return {kind: 'changed', message: grown, changes: {...changes, nonce: 'added'}}
  }
  if (edits.size === 0) return {kind: 'unchanged', reason: "names this site's gateway already"}
  return {kind: 'changed', message: message(), changes}
}

/** Other sites' gateways make way for this site's, once; a router that is no gateway of the inventory stays. */
const localRouters = (routers: readonly Ipv4[], {local, foreign}: ShimVm): readonly Ipv4[] => [
  ...new Set(routers.flatMap((ip) => (foreign.has(ip) ? local : [ip]))),
]

/** The routers of the default route, and of the halves that some set in its place. */
const defaultRouters = (routes: ReturnType<(typeof ROUTES)[number]['read']>): Ipv4[] =>
  routes.filter(({prefix}) => prefix.length <= 1).map(({router}) => router)

/**
 * The data of option 121 (RFC 3442, known to be well formed) with the default route through this site's gateway, and a
 * host route that says that the other one is on the link saying it of this one. Other routes stay, bit for bit.
 */
function localRoutes(data: Uint8Array, {local, foreign}: ShimVm): Uint8Array {
  const out = copyBytes(data)
  const view = new DataView(out.buffer, out.byteOffset, out.length)
  const values = new Set([...foreign].map(ipv4Value))
  for (let at = 0; at < out.length; ) {
    const length = out[at]!
    const router = at + 1 + Math.ceil(length / 8)
    if (length <= 1 && values.has(view.getUint32(router))) writeIpv4(local[0]!, out, router)
    if (length === 32 && view.getUint32(router) === 0 && values.has(view.getUint32(at + 1)))
      writeIpv4(local[0]!, out, at + 1)
    at = router + 4
  }
  return out
}

/**
 * T1 of `pollS` and T2 of 7/4 of that, as a lease's are by default (RFC 2131 4.4.5), where the client would renew later:
 * T1 < T2 < lease. With T2 left where it was, a renewal that got lost would be tried again half the way to it.
 */
function earlier(
  options: Dhcp['options'],
  pollS: number,
): {readonly t1S: number; readonly t2S: number; readonly wasS: number} | undefined {
  const leaseS = readOption(options, dhcpOptions.leaseTime)
  if (leaseS === undefined || leaseS === INFINITE) return undefined
  const wasS = readOption(options, dhcpOptions.renewalTime) ?? Math.floor(leaseS / 2)
  const rebindS = Math.min(readOption(options, dhcpOptions.rebindingTime) ?? Math.floor((leaseS * 7) / 8), leaseS - 1)
  const t1S = Math.min(pollS, rebindS - 1)
  if (t1S < 1 || t1S >= wasS) return undefined
  return {t1S, t2S: Math.min(rebindS, Math.max(t1S + 1, Math.floor((t1S * 7) / 4))), wasS}
}
