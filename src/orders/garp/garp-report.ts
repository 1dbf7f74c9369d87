// What `garp` says afterwards: the JSON document gwswitch.garp/1, and the same for people.
import type {SeenVm} from '../../domain/inventory/named-vm.ts'
import type {Proof, ProofCode} from '../../domain/proof/proof.ts'
import {EXIT} from '../../errors.ts'
import {hexDump, timeline} from '../../render/timeline.ts'
import type {AnnounceReport, AnnounceVerdict} from '../../strategies/arp/announce.ts'
import {announcementFrame} from '../../strategies/arp/frames.ts'
import {type GuardReport, guardEvidence} from '../../strategies/arp/guard.ts'
import {codeTold} from '../../strategies/bystander.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import type {GarpRequest} from './garp-request.ts'

/** One frame. `atMs` counts from the first one; `at` is UTC with microseconds, from the kernel for received frames. */
export interface GarpFrame {
  readonly direction: 'out' | 'in'
  readonly kind: string
  readonly at: string | null
  readonly atMs: number
  readonly destinationMac?: Mac
  readonly text: string
  readonly hex: string
}

export interface GarpDocument {
  readonly schema: 'gwswitch.garp/1'
  readonly interface: string
  readonly dryRun: boolean
  readonly gateway: {readonly name: string | null; readonly ip: Ipv4 | Ipv6; readonly mac: Mac}
  readonly vm: (SeenVm & {readonly ip: Ipv4 | Ipv6; readonly mac: Mac}) | null
  readonly verdict: AnnounceVerdict | 'not-sent'
  /** Whether the VM is served; null where it was not asked: no VM, or nothing sent. */
  readonly code: ProofCode | null
  /** What speaks for the code, one line a piece. */
  readonly evidence: readonly string[]
  readonly gatewayUsed: Mac | null
  readonly movedAfterMs: number | null
  /** When a VM that did not run yet (--before-resume) was first heard, UTC; absent without that flag. */
  readonly arrivedAt?: string
  readonly frames: readonly GarpFrame[]
  /** With --guard, once the VM had moved. */
  readonly guard?: GarpGuard
  readonly warnings: readonly string[]
  readonly exitCode: number
}

/** What the guard saw; `afterMs` counts from its start. */
export interface GarpGuard {
  readonly watchedMs: number
  readonly holds: boolean
  readonly attempts: readonly {
    readonly afterMs: number
    readonly frame: string | null
    readonly hex: string | null
    readonly mac: Mac | null
    readonly host: string | null
    readonly took: boolean
    readonly recoveredMs: number | null
  }[]
  readonly unlisted: number
  readonly evidence: readonly string[]
}

const EXIT_OF: Readonly<Record<AnnounceVerdict, number>> = {
  moved: 0,
  unchecked: 0,
  'not-moved': EXIT.refused,
  silent: EXIT.silent,
}

function head(request: GarpRequest, interfaceName: string) {
  const {gateway, vm} = request.announce
  const {ip, mac} = gateway
  return {
    schema: 'gwswitch.garp/1' as const,
    interface: interfaceName,
    gateway: {name: request.gatewayName ?? null, ip, mac},
    vm: vm ? {name: request.vmName ?? null, ...vm, segment: request.segmentName ?? null} : null,
    warnings: request.warnings.map(({text}) => text),
  }
}

/** What is known beside what the VM answered. */
export interface GarpFindings {
  /** Undefined where no inventory says what lies beyond the gateway. */
  readonly proof?: Proof | undefined
  readonly held?: GuardReport | undefined
}

/** The document of a run. */
export function garpDocument(
  request: GarpRequest,
  interfaceName: string,
  report: AnnounceReport,
  {proof, held}: GarpFindings = {},
): GarpDocument {
  const {vm, gateway} = request.announce
  const told = {used: report.gatewayUsed, alive: report.verdict !== 'silent'}
  const code = proof?.code ?? (vm === undefined ? null : codeTold(told, gateway.mac))
  const firstNs = report.events[0]?.atNs ?? report.startedNs
  return {
    ...head(request, interfaceName),
    dryRun: false,
    verdict: report.verdict,
    code,
    evidence: proof?.evidence ?? [],
    gatewayUsed: report.gatewayUsed ?? null,
    movedAfterMs: report.movedAfterMs ?? null,
    frames: report.events.map(({direction, kind, atNs, destinationMac, text, bytes}) => ({
      direction,
      kind,
      at: isoMicroseconds(atNs),
      atMs: Number(atNs - firstNs) / 1e6,
      ...(destinationMac && {destinationMac}),
      text,
      hex: Buffer.from(bytes).toString('hex'),
    })),
    ...(report.arrivedNs !== undefined && {arrivedAt: isoMicroseconds(report.arrivedNs)}),
    ...(held && {guard: guardPart(held)}),
    exitCode: held?.holds === false || code === 'target-dead' ? EXIT.refused : EXIT_OF[report.verdict],
  }
}

/** The document of a gateway that is not there: the VM stays where it is. `why` says what was seen of it. */
export const garpRefused = (request: GarpRequest, interfaceName: string, why: string): GarpDocument => ({
  ...head(request, interfaceName),
  ...{dryRun: false, verdict: 'not-sent', code: 'target-dead', evidence: [why]},
  ...{gatewayUsed: null, movedAfterMs: null, frames: [], exitCode: EXIT.refused},
})

function guardPart(held: GuardReport): GarpGuard {
  return {
    watchedMs: held.watchedMs,
    holds: held.holds,
    attempts: held.attempts.map(({afterMs, frame, hex, mac, host, took, recoveredMs}) => ({
      afterMs,
      frame: frame ?? null,
      hex: hex ?? null,
      mac: mac ?? null,
      host: host ?? null,
      took,
      recoveredMs: recoveredMs ?? null,
    })),
    unlisted: held.unlisted,
    evidence: guardEvidence(held),
  }
}

/** The document of a dry run: every frame that would be sent, as if nobody answered. */
export function garpPlan(request: GarpRequest, interfaceName: string, sourceMac: Mac): GarpDocument {
  const {forms, scheduleMs, gateway} = request.announce
  const frames = scheduleMs.flatMap((atMs) =>
    forms.map(({form}): GarpFrame => {
      const {text, bytes} = announcementFrame(form, gateway, request.announce, sourceMac)
      return {direction: 'out', kind: form, at: null, atMs, text, hex: Buffer.from(bytes).toString('hex')}
    }),
  )
  return {
    ...head(request, interfaceName),
    dryRun: true,
    verdict: 'not-sent',
    code: null,
    evidence: [],
    gatewayUsed: null,
    movedAfterMs: null,
    frames,
    exitCode: 0,
  }
}

/** RFC 3339 with microseconds: `2026-01-02T03:04:05.678901Z`. */
export function isoMicroseconds(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19)
  return `${seconds}.${((ns / 1000n) % 1_000_000n).toString().padStart(6, '0')}Z`
}

/** The document as lines for a terminal: frames first, the verdict last. */
export function garpText(document: GarpDocument): string[] {
  const {gateway, vm} = document
  const called = (name: string | null, address: string): string => (name ? `${name} (${address})` : address)
  const whom = vm ? called(vm.name, vm.ip) : 'everybody on the segment'
  const rows = timeline(document.frames.map(({atMs, direction, kind, text}) => ({atMs, direction, label: kind, text})))
  const lines = rows.flatMap((row, i) =>
    document.dryRun ? [row, ...hexDump(Buffer.from(document.frames[i]!.hex, 'hex'))] : [row],
  )
  return [
    `${document.dryRun ? 'would tell' : 'telling'} ${whom} via ${document.interface}: ${gateway.ip} is at ${called(gateway.name, gateway.mac)}`,
    '',
    ...lines,
    '',
    verdictLine(document, whom),
    ...proofLines(document),
    ...(document.guard
      ? [`${document.guard.holds ? 'HELD     ' : 'LOST     '} ${document.guard.evidence.join('\n          ')}`]
      : []),
  ]
}

/** What is beyond the gateway that the VM follows to; what it follows to is said already. */
function proofLines({code, evidence, verdict}: GarpDocument): string[] {
  if (verdict !== 'moved') return []
  const [head, says] =
    code === 'served'
      ? ['SERVED', evidence.at(-1)!]
      : code === 'target-dead'
        ? ['CUT OFF', evidence.at(-1)!]
        : [
            '',
            `whether it is served there is not known: ${evidence.at(-1) ?? 'there is no inventory to say what lies beyond'}`,
          ]
  return [`${head.padEnd(9)} ${says}`]
}

function verdictLine(
  {verdict, vm, gateway, gatewayUsed, movedAfterMs, frames, evidence}: GarpDocument,
  whom: string,
): string {
  const to = gateway.name ?? gateway.mac
  switch (verdict) {
    case 'moved':
      return `MOVED     ${whom} sends to ${to} now, ${movedAfterMs!.toFixed(2)} ms after the first frame`
    case 'not-moved':
      return gatewayUsed
        ? `NOT MOVED ${whom} answered, but still sends to ${gatewayUsed}: entry not moved (static?)`
        : `NOT MOVED ${whom} answered ARP, but nothing it sends to the gateway comes by here: entry not moved (static?)`
    case 'silent':
      return `SILENT    ${whom} answered nothing: is ${vm?.mac} its MAC, and is it behind this interface?`
    case 'not-sent':
      if (evidence[0] !== undefined) return `NOT SENT  ${evidence[0]}; --force tells ${whom} all the same`
      return `dry run: ${frames.length} frames, none sent; a run ends as soon as the VM is seen to follow`
    case 'unchecked':
      return `SENT      ${frames.length} frames; name a VM to have it checked that it follows`
  }
}
