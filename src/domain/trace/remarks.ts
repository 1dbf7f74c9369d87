// What a reader of the verdict should know besides it.
import {losesMore, type Numbers, type SideStats} from './compare.ts'
import {candidatesOf} from './distance.ts'
import type {CandidateEvidence, RouteSnapshot, TraceEvidence} from './evidence.ts'
import type {Flag} from './flag.ts'
import {hostFlags} from './host-remarks.ts'
import type {Inbound} from './inbound.ts'
import {knownGatewayOfIp} from './known-sites.ts'
import type {CandidatePlace, Places} from './places.ts'
import {loss} from './statistics.ts'

/** First-hop answers on either side below which the DCI round trip read from them is marked. */
const FEW_FIRST_HOPS = 2

/** Every remark that the evidence calls for. `numbers` are those that the verdict rests on, if there are any. */
export function flagsOf(
  evidence: TraceEvidence,
  places: Places,
  numbers: Numbers | undefined,
  inbound: Inbound,
): readonly Flag[] {
  return [
    ...redirectFlags(evidence),
    ...hostFlags(evidence),
    ...placeFlags(evidence, places),
    ...candidateFlags(evidence),
    ...dciFlags(numbers),
    ...(evidence.probe.limited ? [] : lossFlags(numbers)),
    ...wayBackFlags(inbound),
    ...runFlags(evidence, numbers),
  ]
}

function runFlags({complete, integrity, probe}: TraceEvidence, numbers: Numbers | undefined): readonly Flag[] {
  const flags: Flag[] = []
  if (numbers !== undefined && numbers.changedAtMs !== null) {
    const at = (numbers.changedAtMs / 1000).toFixed(1)
    flags.push({
      code: 'path-changed',
      detail: `a path changed ${at} s into the run: what is said rests on what came after`,
    })
  }
  if (integrity.clockSteps.length > 0) {
    const detail = `somebody set this host's clock during the run: ${integrity.clockSteps.length} probes were dropped`
    flags.push({code: 'clock-stepped', detail})
  }
  if (probe.silent.length > 0) {
    const detail = `${probe.silent.join(' and ')} probes are not answered through every exit: ${probe.protocol} took their place`
    flags.push({code: 'protocol-changed', detail})
  }
  if (probe.limited) {
    const detail = `the destination answers only so many probes a second: they were sent ${probe.gapMs} ms apart`
    flags.push({code: 'answers-limited', detail})
  }
  if (!complete) {
    const detail =
      integrity.linkLost === null ? 'the run was cut short' : `the run was cut short: ${integrity.linkLost}`
    flags.push({code: 'incomplete', detail})
  }
  if (probe.rxTimestamp !== 'kernel') {
    const detail = 'no kernel time stamps: round trips include the scheduling of this program'
    flags.push({code: 'user-timestamps', detail})
  }
  return flags
}

/** Loss is an answer of its own, whatever the pairs that came through say of time. */
function lossFlags(numbers: Numbers | undefined): readonly Flag[] {
  if (numbers === undefined) return []
  const {viaCurrent, viaAlternative} = numbers
  const share = ({sent, answered}: SideStats): string => `${Math.round(loss(sent, answered) * 100)} %`
  const [worse, better, which] = losesMore(viaCurrent, viaAlternative)
    ? [viaCurrent, viaAlternative, 'the exit in use']
    : [viaAlternative, viaCurrent, 'the other exit']
  if (better.answered === 0 || worse.answered === 0 || !losesMore(worse, better)) return []
  const detail = `the way through ${which} loses ${share(worse)}, the other one ${share(better)}`
  return [{code: 'loss-one-sided', detail}]
}

function wayBackFlags({reason}: Inbound): readonly Flag[] {
  if (reason !== 'each-by-its-exit') return []
  const detail =
    'each answer comes back by the exit that its probe took: source NAT there, or another host of this address behind each; a switch cuts open sessions'
  return [{code: 'return-follows-exit', detail}]
}

function redirectFlags({destination, integrity}: TraceEvidence): readonly Flag[] {
  const {before, redirectsSeen, acceptRedirects, rawSocketsOpen} = integrity
  const flags: Flag[] = []
  if (before.redirected) {
    const left = before.expiresMs === null ? '' : `, ${Math.round(before.expiresMs / 1000)} s left`
    const detail = `this host holds a redirect for ${destination.ip} via ${before.gateway}${left}: until then its own packets do not go through the gateway traced here`
    flags.push({code: 'masked-by-redirect', detail})
  }
  if (redirectsSeen.length > 0) {
    const routers = [...new Set(redirectsSeen.map((redirect) => redirect.from))].join(', ')
    const towards = [...new Set(redirectsSeen.map((redirect) => redirect.gateway))].join(', ')
    const taken =
      acceptRedirects === true
        ? 'this host follows such advice'
        : acceptRedirects === false
          ? 'this host ignores such advice'
          : 'whether this host follows is not known'
    flags.push({code: 'redirects-seen', detail: `${routers} sends redirects to ${towards}; ${taken}`})
  }
  if (rawSocketsOpen > 0 && acceptRedirects === true) {
    const programs =
      rawSocketsOpen === 1
        ? 'another program has a raw ICMP socket'
        : `${rawSocketsOpen} raw ICMP sockets of other programs are`
    flags.push({
      code: 'redirects-may-apply',
      detail: `${programs} open: redirects that probes cause may change this host's routes`,
    })
  }
  return flags
}

function placeFlags({host}: TraceEvidence, places: Places): readonly Flag[] {
  if (places.movedFromInventory) {
    return [
      {
        code: 'vm-moved',
        detail: `the inventory has the VM at site ${host.site?.name}; its first hops say site ${places.vm.site}`,
      },
    ]
  }
  if (places.latencyContradicts) {
    return [
      {
        code: 'site-contradicted',
        detail: `site ${host.site?.name} was given, but its gateway is the far one by latency`,
      },
    ]
  }
  return []
}

function candidateFlags(evidence: TraceEvidence): readonly Flag[] {
  const flags: Flag[] = []
  for (const candidate of candidatesOf(evidence)) {
    const known = knownGatewayOfIp(evidence.known, candidate.ip)
    const strange = !evidence.known.gateways.some((gateway) => gateway.mac === candidate.mac)
    if (known && strange) {
      flags.push({
        code: 'gateway-mac-differs',
        detail: `${candidate.ip} is at ${candidate.mac}; the inventory has ${known.name} at ${known.mac}`,
      })
    }
  }
  for (const {ip, macs} of evidence.integrity.arpAnswers) {
    if (new Set(macs).size > 1) {
      flags.push({
        code: 'answered-by-both',
        detail: `${ip} is answered for by ${[...new Set(macs)].join(' and ')}: ARP for it crosses the DCI`,
      })
    }
  }
  return flags
}

function dciFlags(numbers: Numbers | undefined): readonly Flag[] {
  if (numbers === undefined) return []
  const {dci, threshold} = numbers
  if (threshold.source === 'fallback') {
    return [
      {
        code: 'dci-unknown',
        detail: `first hops are silent and no inventory states the DCI round trip: threshold ${threshold.ms} ms`,
      },
    ]
  }
  if (dci.source === 'measured' && dci.n < FEW_FIRST_HOPS) {
    return [
      {
        code: 'dci-from-few-probes',
        detail: `DCI round trip read from ${dci.n} first-hop answer: it may be too high`,
      },
    ]
  }
  return []
}

/** What changed under the run: the route to the destination, or the MAC behind a candidate's address. */
export function routeChanges(before: RouteSnapshot, after: RouteSnapshot): readonly string[] {
  const changes: string[] = []
  if (before.gateway !== after.gateway)
    changes.push(`route via ${before.gateway ?? 'no gateway'}, then via ${after.gateway ?? 'no gateway'}`)
  else if (before.redirected !== after.redirected)
    changes.push(after.redirected ? 'a redirect was taken' : 'a redirect ran out')
  for (const {ip, mac} of before.neighbours) {
    const later = after.neighbours.find((neighbour) => neighbour.ip === ip)
    if (later !== undefined && later.mac !== mac) changes.push(`${ip} at ${mac}, then at ${later.mac}`)
  }
  return changes
}

/**
 * Signs that a candidate's MAC is no single router: TTL=1 is answered from near and from far, or several boxes answer ARP
 * for its address. The gateways of a shared IP may both answer ARP; their MACs differ, and by those they are told apart.
 */
export function unstableSigns(
  evidence: TraceEvidence,
  candidate: CandidateEvidence,
  {responders, flips}: CandidatePlace,
): readonly string[] {
  const signs: string[] = []
  if (flips) signs.push(`${candidate.mac} answers TTL=1 from ${responders.join(' and ')}`)
  const entitled = [...candidatesOf(evidence), ...evidence.known.gateways]
  for (const {ip, macs} of evidence.integrity.arpAnswers) {
    if (ip !== candidate.ip) continue
    const twice = macs.find((mac, i) => macs.indexOf(mac) !== i)
    const stranger = macs.find((mac) => !entitled.some((each) => each.ip === ip && each.mac === mac))
    if (twice !== undefined) signs.push(`two boxes answer ARP for ${ip} with ${twice}`)
    else if (macs.length > 1 && stranger !== undefined)
      signs.push(`${ip} has ${macs.length} owners, ${stranger} among them`)
  }
  return signs
}
