// What `garp --announce` says afterwards: the JSON document gwswitch.garp-announce/1, and the same for people.
import type {SeenVm} from '../../domain/inventory/named-vm.ts'
import {EXIT} from '../../errors.ts'
import {hexDump, timeline} from '../../render/timeline.ts'
import {spokenFrames} from '../../strategies/speak-for/frames.ts'
import type {KnownJudgement, KnownVerdict} from '../../strategies/speak-for/judge.ts'
import {type AskedGateway, knownAddresses} from '../../strategies/speak-for/plan.ts'
import type {Heard, SpeakReport} from '../../strategies/speak-for/speak.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {isoMicroseconds} from './garp-report.ts'
import type {SpeakRequest} from './speak-request.ts'

export interface SpeakDocument {
  readonly schema: 'gwswitch.garp-announce/1'
  readonly interface: string
  readonly dryRun: boolean
  readonly vm: SeenVm & {readonly ip: Ipv4; readonly mac: Mac; readonly ip6: readonly Ipv6[]}
  /** Whom it is made known to, and the addresses of it that are asked for in the VM's name. */
  readonly gateway: AskedGateway
  /** Its leg on this host, where the neighbour entry is written; null: it is elsewhere. */
  readonly leg: string | null
  readonly verdict: KnownVerdict | 'not-sent'
  readonly evidence: readonly string[]
  /** Answers of the gateway to the VM, ms from the first frame. */
  readonly answers: readonly Heard[]
  /** An answer from beyond the gateway that reached the VM, and through which MAC; null: none was seen. */
  readonly inbound: Heard | null
  /** The addresses in this host's own tables, at the end. */
  readonly neighbours: readonly {
    readonly ip: Ipv4 | Ipv6
    readonly writes: number
    readonly settled: boolean
    /** The interface by which packets for it leave. */
    readonly way: string | null
    readonly settledAfterMs: number | null
  }[]
  readonly frames: readonly {
    readonly direction: 'out' | 'in'
    readonly kind: string
    /** UTC with microseconds; null in a dry run. */
    readonly at: string | null
    readonly atMs: number
    readonly text: string
    /** Empty for what is no frame. */
    readonly hex: string
  }[]
  readonly warnings: readonly string[]
  readonly exitCode: number
}

const EXIT_OF: Readonly<Record<KnownVerdict, number>> = {
  known: 0,
  contested: EXIT.refused,
  unanswered: EXIT.silent,
}

function head({plan, vmName, segment, warnings}: SpeakRequest, interfaceName: string) {
  const {vm, gateway, leg} = plan
  return {
    schema: 'gwswitch.garp-announce/1' as const,
    interface: interfaceName,
    vm: {...vm, name: vmName ?? null, segment: segment?.name ?? null},
    ...{gateway, leg, warnings},
  }
}

/** The document of a run. */
export function speakDocument(
  request: SpeakRequest,
  interfaceName: string,
  report: SpeakReport,
  {verdict, evidence}: KnownJudgement,
): SpeakDocument {
  const firstNs = report.events[0]?.atNs ?? report.startedNs
  return {
    ...head(request, interfaceName),
    ...{dryRun: false, verdict, evidence, answers: report.answers, inbound: report.inbound ?? null},
    neighbours: report.kept.map(({ip, writes, settled, way, afterMs}) => ({
      ...{ip, writes, settled, way: way ?? null},
      settledAfterMs: settled ? afterMs : null,
    })),
    frames: report.events.map(({direction, kind, atNs, text, bytes}) => ({
      ...{direction, kind, at: isoMicroseconds(atNs), atMs: Number(atNs - firstNs) / 1e6, text},
      hex: Buffer.from(bytes).toString('hex'),
    })),
    exitCode: EXIT_OF[verdict],
  }
}

/** The document of a dry run: every frame that would be sent in the VM's name, and every entry. */
export function speakPlanned(request: SpeakRequest, interfaceName: string): SpeakDocument {
  const {plan} = request
  const {vm, leg} = plan
  const entries =
    leg === null
      ? []
      : knownAddresses(plan).map((ip) => ({
          ...({direction: 'out', kind: 'neighbour', at: null, atMs: 0, hex: ''} as const),
          text: `${ip} is at ${vm.mac}, into the table of ${leg}`,
        }))
  const frames = plan.scheduleMs.flatMap((atMs) =>
    spokenFrames(plan).map(
      ({kind, text, bytes}) =>
        ({direction: 'out', kind, at: null, atMs, text, hex: Buffer.from(bytes).toString('hex')}) as const,
    ),
  )
  return {
    ...head(request, interfaceName),
    ...{dryRun: true, verdict: 'not-sent', evidence: [], answers: [], inbound: null, neighbours: []},
    ...{frames: [...entries, ...frames], exitCode: 0},
  }
}

const HEADS: Readonly<Record<SpeakDocument['verdict'], string>> = {
  known: 'KNOWN',
  contested: 'CONTESTED',
  unanswered: 'UNANSWERED',
  'not-sent': 'dry run: nothing was sent',
}

/** The document as lines for a terminal. */
export function speakText(document: SpeakDocument): string[] {
  const {vm, gateway, frames, dryRun, verdict, evidence} = document
  const name = vm.name ?? vm.ip
  const rows = timeline(frames.map(({atMs, direction, kind, text}) => ({atMs, direction, label: kind, text})))
  const lines = rows.flatMap((row, i) =>
    dryRun && frames[i]!.hex !== '' ? [row, ...hexDump(Buffer.from(frames[i]!.hex, 'hex'))] : [row],
  )
  return [
    `${dryRun ? 'would speak' : 'speaking'} for ${name} (${vm.ip}, ${vm.mac}) at ${document.interface}: ${gateway.name} shall know it here`,
    '',
    ...lines,
    '',
    [HEADS[verdict].padEnd(10), evidence[0] ?? ''].join(' ').trimEnd(),
    ...evidence.slice(1).map((line) => `           ${line}`),
  ]
}
