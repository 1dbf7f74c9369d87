// Whether a site's controller acts on what an agent asks for.
import type {AgentNote} from '../../wire/agent-beacon.ts'
import {readIpv6} from '../../wire/ipv6-address.ts'
import type {Gateway, Segment, Vm} from '../inventory/site.ts'

/** Why a note with a valid signature is not acted on. */
export const NOTE_REFUSALS = [
  /** Signed, but fields are missing or wrong. */
  'invalid',
  /** Signed by the agent of another VM. */
  'wrong_vm',
  /** Issued too long ago or in the future: compare the clocks. */
  'clock',
  /** Heard before, or before this service started. */
  'replayed',
  /** Of a VM, or of a NIC, that is not on this segment. */
  'other_segment',
  /** It believes to be in another site. */
  'other_site',
  /** It does not know where it is: somebody has to look. */
  'no_site',
  /** It uses this site's gateway already. */
  'already',
  /** The gateway it uses is none of the inventory's. */
  'unknown_gateway',
] as const
export type NoteRefusal = (typeof NOTE_REFUSALS)[number]

export interface NoteFacts {
  readonly vm: Vm
  /** The id of the VM in its agent's configuration, whose key signed. */
  readonly id: string
  readonly segment: Segment
  /** This site's gateway on the segment. */
  readonly to: Gateway
  /** ms since 1970. */
  readonly nowMs: number
  readonly startedMs: number
  readonly skewS: number
  /** The highest `seq` of this VM. */
  readonly lastSeq: number | undefined
}

export type NoteVerdict =
  | {readonly act: true; readonly from: Gateway}
  | {readonly act: false; readonly reason: NoteRefusal; readonly detail: string}

const refuse = (reason: NoteRefusal, detail: string): NoteVerdict => ({act: false, reason, detail})

/** Checks in this order, and names the first that fails: who, when, where, what. */
export function judgeNote(note: AgentNote, facts: NoteFacts): NoteVerdict {
  const {vm, segment, to} = facts
  const wrong = staleness(note, facts)
  if (wrong !== undefined) return wrong
  if (vm.segment !== segment.name) return refuse('other_segment', `${vm.name} is on segment ${vm.segment}`)
  if (note.mac !== undefined && note.mac !== vm.mac)
    return refuse('other_segment', `its default route is on NIC ${note.mac}, not on ${vm.mac}`)
  const used = usedGateway(note)
  const from = segment.gateways.find((gateway) => has(gateway, used))
  if (from?.site === to.site) return refuse('already', `${vm.name} uses ${from.name} (site ${to.site}) already`)
  if (note.site === undefined) return refuse('no_site', 'it does not know which site it is in')
  if (note.site !== to.site) return refuse('other_site', `it believes to be in site ${note.site}`)
  if (from === undefined)
    return refuse('unknown_gateway', `it uses ${used ?? 'none'}, which is no gateway of ${segment.name}`)
  return {act: true, from}
}

function staleness(
  {vm, iat, seq}: AgentNote,
  {id, nowMs, startedMs, skewS, lastSeq}: NoteFacts,
): NoteVerdict | undefined {
  if (vm !== id) return refuse('wrong_vm', `it is signed by ${id} and speaks of ${vm}`)
  const ageS = nowMs / 1000 - iat
  if (ageS > skewS) return refuse('clock', `issued ${Math.round(ageS)} s ago`)
  if (ageS < -skewS) return refuse('clock', `issued ${Math.round(-ageS)} s in the future`)
  // What was heard before a restart is not known any more; `iat` is in whole seconds.
  if (iat < Math.floor(startedMs / 1000)) return refuse('replayed', 'issued before this service started')
  if (lastSeq !== undefined && seq <= lastSeq) return refuse('replayed', `seq ${seq} is not above ${lastSeq}`)
  return undefined
}

/** IPv4 decides, as one router serves both families. */
const usedGateway = ({gw4, gw6}: AgentNote): string | undefined => gw4 ?? (gw6 && (readIpv6(gw6) ?? gw6))

const has = ({ip, ip6 = []}: Gateway, used: string | undefined): boolean =>
  used !== undefined && (ip === used || ip6.includes(used))
