// Holds a switched VM on its gateway: watches for frames that move it back, answers each, and says who sent it.
import type {Instruction} from '../../net/packet/bpf.ts'
import {anyOf, etherType, macTests} from '../../net/packet/bpf.ts'
import type {Link, ReceivedFrame} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import type {EchoIdentity, Sighting} from '../../probe/sighting.ts'
import {echoFrame, readSighting} from '../../probe/vm-watch.ts'
import {type Ipv4, isGroupMac, type Mac, type Prefix} from '../../wire/address.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, type Vlan} from '../../wire/ethernet.ts'
import {type Ipv6, isLinkLocal} from '../../wire/ipv6-address.ts'
import type {AnnouncedGateway, Form} from './announcement.ts'
import {type Claim, readClaim, readRouterClaim} from './claims.ts'
import {announcementFrame} from './frames.ts'

export interface GuardRequest {
  readonly gateway: AnnouncedGateway
  readonly vm: {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vlan?: Vlan | undefined
  readonly segment?: Prefix | undefined
  readonly forMs: number
  /** Where echoes claim to come from: off the segment where the default route is what moves; default: the gateway. */
  readonly echoFrom?: Ipv4 | Ipv6 | undefined
  /** The advertisements of other gateways are attempts too: by one guard of a VM alone. */
  readonly routers?: boolean | undefined
  /** To name whoever sent a frame. */
  readonly gateways: readonly {readonly name: string; readonly site: string; readonly mac: Mac}[]
}

/** One attempt to move the VM away, or one time it was seen to have moved. */
export interface Repoison {
  readonly atNs: bigint
  /** From the start of the guard, ms. */
  readonly afterMs: number
  /** The frame in words; undefined if none was seen, only the VM sending elsewhere. */
  readonly frame: string | undefined
  readonly hex: string | undefined
  /** Where the VM was told, or seen, to send; undefined where that does not pass here. */
  readonly mac: Mac | undefined
  /** `bx (site x)`; undefined for a host that is no gateway of the inventory. */
  readonly host: string | undefined
  /** What was done about it, where what is asked does not tell whether the VM followed. */
  readonly blind: string | undefined
  /** The VM followed it. */
  took: boolean
  /** Until the VM was seen on its gateway again, ms; undefined if it never was. */
  recoveredMs: number | undefined
}

export interface GuardReport {
  readonly gatewayIp: Ipv4 | Ipv6
  readonly watchedMs: number
  readonly attempts: readonly Repoison[]
  /** Attempts beyond those that are kept. */
  readonly unlisted: number
  /** Frames sent to hold it. */
  readonly asks: number
  /** The VM was on its gateway when last seen. */
  readonly holds: boolean
  /** Where the VM was last seen sending, if it was. */
  readonly gatewayUsed: Mac | undefined
}

/** Attempts kept with their frames. A war of announcements must not fill the memory. */
const KEPT = 200
/** Between two echoes that ask where the VM sends, ms; also the longest that a silent move stays unseen. */
const CHECK_EVERY_MS = 1000
/** Two answers are never closer than this, ms. */
const ANSWER_GAP_MS = 10

/** Everything that {@link guard} understands, whoever sent it. Open the link promiscuous, and with `outgoing` frames. */
export const guardFilter = (vmMac: Mac): Instruction[] =>
  anyOf([
    [etherType(ETHERTYPE_ARP)],
    [etherType(ETHERTYPE_IPV6)],
    [etherType(ETHERTYPE_IPV4), ...macTests('source', vmMac)],
  ])

/** Guards for `forMs`; ends early, throwing the signal's reason, when aborted. */
export async function guard(
  link: Link,
  world: World,
  request: GuardRequest,
  signal: AbortSignal,
  tell: (attempt: Repoison) => void = () => {},
): Promise<GuardReport> {
  const post = standGuard(link, world, request, tell)
  try {
    const endNs = world.now() + BigInt(Math.round(request.forMs * 1e6))
    for (;;) {
      const leftMs = Number(endNs - world.now()) / 1e6
      if (leftMs <= 0) break
      post.check()
      await world.sleep(Math.min(CHECK_EVERY_MS, leftMs), signal)
      post.judge()
    }
    return await post.report()
  } finally {
    post.stop()
  }
}

function standGuard(link: Link, world: World, request: GuardRequest, tell: (attempt: Repoison) => void) {
  const {gateway} = request
  const vm = {...request.vm, vlan: request.vlan}
  const identifier = Math.floor(world.random() * 0x10000)
  const echo: EchoIdentity = {gatewayIp: gateway.ip, identifier, from: request.echoFrom}
  const startedNs = world.now()
  const attempts: Repoison[] = []
  let unlisted = 0
  let asks = 0
  let sequence = 0
  let answeredSequence = 0
  let missed = 0
  let used: Mac | undefined
  let lastAnswerNs = 0n
  let open: Repoison | undefined
  let waiting = false
  let old = gateway.old
  const ending = new AbortController()

  /** What puts the VM back; `old` is the router whose advertisement is to be taken back. */
  const ask = (): void => {
    asks++
    lastAnswerNs = world.now()
    for (const form of answerForms(gateway, old))
      link.send(announcementFrame(form, {...gateway, old}, {vm, vlan: vm.vlan}, link.mac).bytes)
  }
  const check = (): void => {
    sequence = (sequence + 1) & 0xffff
    link.send(echoFrame(link, vm, echo, sequence))
  }
  const record = (
    atNs: bigint,
    mac: Mac | undefined,
    claim: Claim | undefined,
    bytes: Uint8Array | undefined,
    took: boolean,
  ): void => {
    const known = request.gateways.find((candidate) => candidate.mac === mac)
    const attempt: Repoison = {
      atNs,
      afterMs: Number(atNs - startedNs) / 1e6,
      frame: claim?.text,
      hex: bytes && Buffer.from(bytes).toString('hex'),
      mac,
      host: known && `${known.name} (site ${known.site})`,
      blind: claim?.router === undefined ? undefined : blindWord(request),
      took,
      recoveredMs: undefined,
    }
    open = attempt
    if (attempts.length < KEPT) attempts.push(attempt)
    else unlisted++
    tell(attempt)
  }
  /** First where the VM sends now, then what it should do, then whether it does. */
  const answer = (): void => {
    const sinceMs = Number(world.now() - lastAnswerNs) / 1e6
    if (sinceMs >= ANSWER_GAP_MS) {
      check()
      ask()
      check()
      return
    }
    if (waiting) return
    waiting = true
    const rest = world.sleep(ANSWER_GAP_MS - sinceMs, ending.signal)
    void rest.then(
      () => {
        waiting = false
        answer()
      },
      () => {},
    )
  }
  const seen = ({kind, destinationMac, atNs, sequence: answered}: Sighting): void => {
    if (kind !== 'echo-reply' && kind !== 'traffic') return
    used = destinationMac
    if (answered !== undefined) {
      answeredSequence = answered
      missed = 0
    }
    if (destinationMac === gateway.mac) {
      if (open && open.recoveredMs === undefined && atNs >= open.atNs) open.recoveredMs = Number(atNs - open.atNs) / 1e6
      return
    }
    if (open && (open.recoveredMs === undefined || atNs - open.atNs < 100_000_000n)) {
      open.took = true
      open.recoveredMs = undefined
    } else record(atNs, destinationMac, undefined, undefined, true)
    answer()
  }
  const unsubscribe = link.onFrame((received: ReceivedFrame) => {
    const sighting = readSighting(received, vm, echo, request.segment)
    if (sighting) return seen(sighting)
    const claim = readClaim(received.bytes, gateway.ip) ?? claimOfOld(received.bytes, request)
    if (!claim || claim.mac === gateway.mac || claim.vlanId !== vm.vlan?.id) return
    if (claim.destination !== vm.mac && !isGroupMac(claim.destination)) return
    if (claim.router !== undefined && isLinkLocal(gateway.ip)) old = claim.router
    record(received.timestampNs, claim.mac, claim, received.bytes, false)
    answer()
  })

  return {
    stop() {
      unsubscribe()
      ending.abort()
    },
    check,
    /** On the gateway's own leg what goes elsewhere does not pass: there, two echoes without an answer say that it left. */
    judge(): void {
      if (used === undefined || answeredSequence === sequence || ++missed < 2) return
      if (open && open.recoveredMs === undefined) open.took = true
      else record(world.now(), undefined, undefined, undefined, true)
      answer()
    },
    async report(): Promise<GuardReport> {
      // The last word is the VM's: an echo of its own for the verdict.
      check()
      await world.sleep(CHECK_EVERY_MS / 5)
      const answered = answeredSequence === sequence
      const watchedMs = Number(world.now() - startedNs) / 1e6
      const holds = answered
        ? used === gateway.mac
        : used === gateway.mac && !(open?.took && open.recoveredMs === undefined)
      return {gatewayIp: gateway.ip, watchedMs, attempts, unlisted, asks, holds, gatewayUsed: used}
    },
  }
}

/**
 * The advertisement of another router that the inventory knows. A router that nobody knows may be a tenant's own: that one
 * is told by the VM's following it.
 */
function claimOfOld(bytes: Uint8Array, {gateway, gateways, routers = false}: GuardRequest): Claim | undefined {
  if (!routers) return undefined
  const claim = readRouterClaim(bytes)
  if (claim === undefined || claim.router === gateway.ip) return undefined
  return claim.router === gateway.old || gateways.some(({mac}) => mac === claim.mac) ? claim : undefined
}

/** By the answer to an echo from off the segment it is seen where the default route leads. */
function blindWord({gateway, echoFrom}: GuardRequest): string | undefined {
  if (echoFrom !== undefined) return undefined
  return isLinkLocal(gateway.ip)
    ? 'withdrawn in its name'
    : 'left as it is: no link-local address of the new gateway is known'
}

/** A router with an address of its own says so; one that shares it has the entry moved. */
const answerForms = ({old: left}: AnnouncedGateway, old: Ipv6 | undefined): readonly Form[] =>
  left !== undefined ? ['withdraw', 'ra'] : old !== undefined ? ['withdraw', 'ask'] : ['ask']

/** What a guard found, a line a piece: the frame, the host, and what came of it. */
export function guardEvidence({attempts, watchedMs, holds, gatewayIp, unlisted}: GuardReport): string[] {
  const watched = `${(watchedMs / 1000).toFixed(1)} s`
  if (attempts.length === 0)
    return [holds ? `nothing moved it back in ${watched}` : `it answered no echo from ${gatewayIp} in ${watched}`]
  const lines = attempts.slice(0, 5).map(outcomeText)
  const more = attempts.length + unlisted - lines.length
  return [...lines, ...(more > 0 ? [`and ${more} more in ${watched}`] : [])]
}

/** One attempt in one line, as far as it is known when it is seen. */
export function attemptText({afterMs, frame, mac, host}: Repoison): string {
  const who = host ? `${host}, ${mac}` : `${mac}, no gateway of the inventory`
  const elsewhere = mac ? `it sends to ${who}` : 'it sends elsewhere'
  const what = frame ? `${frame}, from ${who}` : `${elsewhere}; the frame that told it did not pass here`
  return `after ${(afterMs / 1000).toFixed(2)} s: ${what}`
}

function outcomeText(attempt: Repoison): string {
  const {took, recoveredMs} = attempt
  const then = !took
    ? (attempt.blind ?? 'without effect')
    : recoveredMs === undefined
      ? 'not won back'
      : `won back after ${recoveredMs.toFixed(1)} ms`
  return `${attemptText(attempt)}: ${then}`
}
