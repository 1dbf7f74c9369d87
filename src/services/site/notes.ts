// From a datagram to a wish: who signed it, is it fresh, and is this the site that can grant it.
import type {KeyObject} from 'node:crypto'
import {admissions} from '../../domain/agent/admission.ts'
import {DEFAULT_WINDOWS} from '../../domain/agent/config.ts'
import {judgeNote, type NoteRefusal} from '../../domain/agent/notes.ts'
import {type TokenBucket, tokenBucket} from '../../domain/agent/token-bucket.ts'
import {type Gateway, machineOf, type Vm} from '../../domain/inventory/site.ts'
import type {Offered as Dispatched} from '../../domain/movement/dispatch.ts'
import {type AgentNote, openNote} from '../../wire/agent-beacon.ts'
import {readPublicKey, type SilentReason} from '../../wire/agent-message.ts'
import {hintOf} from '../../wire/agent-tag.ts'
import type {ServeSiteRequest} from './request.ts'

/** What became of a wish, as notes are counted. A VM that asks is never thought to be here already. */
type Offered = 'begun' | 'queued' | NotTaken
type NotTaken = 'under_way' | 'too_soon' | 'backing_off' | 'full' | 'fuse'

export interface NoteCounts {
  /** Notes of known VMs, acted on or not. */
  readonly valid: number
  /** Valid ones that were not acted on, by reason. */
  readonly refused: Readonly<Partial<Record<NoteRefusal | NotTaken, number>>>
  /** What nobody known had signed, or too much of it. */
  readonly silent: Readonly<Partial<Record<SilentReason, number>>>
}

export interface NoteStage {
  /** CLOCK_REALTIME, ms. */
  nowMs(): number
  /** On a clock that never goes back, ms. */
  steadyMs(): number
  /** Switches the VM away from that gateway, soon. */
  offer(vm: Vm, from: Gateway): Dispatched
  /** ms until a VM may be switched again. */
  waitMs(vm: Vm): number
  log(line: string): void
}

export interface NoteReader {
  /** Never throws, and never answers: the switch command is the answer. */
  receive(bytes: Uint8Array, from: string): void
  readonly counts: NoteCounts
  /** The VMs and keys of another inventory from now on; what was heard of a VM whose key is the same is remembered. */
  reload(next: ServeSiteRequest): void
  /** With which the tags of those that are known begin (wire/agent-tag.ts). */
  readonly hints: readonly string[]
}

/** Of notes without a tag. */
const UNTAGGED = {perSecond: 100, burst: 200}
/** Notes of one VM that are looked at per second, and at once: its agent sends six a minute. */
const VM_RATE = 0.5
const VM_BURST = 8

interface KnownVm {
  readonly vm: Vm
  readonly key: KeyObject
  readonly bucket: TokenBucket
  lastSeq: number | undefined
}

export function noteReader(first: ServeSiteRequest, stage: NoteStage): NoteReader {
  let request = first
  let known = knownVms(request, new Map())
  const admits = admissions(UNTAGGED)
  const counts = {
    valid: 0,
    refused: {} as Partial<Record<NoteRefusal | NotTaken, number>>,
    silent: {} as Partial<Record<SilentReason, number>>,
  }
  const startedMs = stage.nowMs()

  const hush = (reason: SilentReason): void => {
    counts.silent[reason] = (counts.silent[reason] ?? 0) + 1
  }
  function refuse(name: string, reason: keyof NoteCounts['refused'], detail: string): void {
    counts.refused[reason] = (counts.refused[reason] ?? 0) + 1
    stage.log(`note of ${name} not acted on: ${reason}: ${detail}`)
  }

  function act(note: AgentNote, entry: KnownVm, id: string): void {
    const {vm} = entry
    const {segment, to} = request
    const facts = {vm, id, segment, to, startedMs, nowMs: stage.nowMs(), skewS: DEFAULT_WINDOWS.clockSkewS}
    const verdict = judgeNote(note, {...facts, lastSeq: entry.lastSeq})
    if (verdict.act || !['wrong_vm', 'clock', 'replayed'].includes(verdict.reason)) entry.lastSeq = note.seq
    if (!verdict.act) {
      refuse(vm.name, verdict.reason, withAdvice(verdict.detail, verdict.reason, vm, request))
      return
    }
    const offered = stage.offer(vm, verdict.from).replace('-', '_') as Offered
    const asks = `${vm.name} asks for the gateway of site ${to.site} (${note.why}), uses ${verdict.from.name}`
    if (offered === 'begun' || offered === 'queued')
      stage.log(`${asks}: ${offered === 'begun' ? 'switching' : 'queued'}`)
    else refuse(vm.name, offered, whyNot(offered, stage.waitMs(vm)))
  }

  return {
    counts,
    reload(next) {
      request = next
      known = knownVms(next, known)
    },
    get hints() {
      return [...known.values()].map(({key}) => hintOf(key))
    },
    receive(bytes, from) {
      const opened = openNote(
        bytes,
        (kid) => known.get(kid)?.key,
        (claim) => admits(claim, from, stage.steadyMs()),
      )
      if (!opened.ok && !opened.authenticated) return hush(opened.reason)
      const entry = known.get(opened.kid)!
      // Its key may be stolen: even what is signed fills no log.
      if (!entry.bucket.take(stage.steadyMs())) return hush('flooded')
      counts.valid++
      if (opened.ok) act(opened.message, entry, opened.kid)
      else refuse(entry.vm.name, 'invalid', opened.problem)
    },
  }
}

function knownVms({inventory, segment}: ServeSiteRequest, before: ReadonlyMap<string, KnownVm>): Map<string, KnownVm> {
  const known = new Map<string, KnownVm>()
  for (const vm of inventory.vms) {
    const key = readPublicKey(vm.agent?.key ?? '')
    // Of several NICs the one on the segment is meant.
    if (key === undefined || (known.has(idOf(vm)) && vm.segment !== segment.name)) continue
    const same = before.get(idOf(vm))
    const kept = same?.key.equals(key) ? same : {key, bucket: tokenBucket(VM_RATE, VM_BURST), lastSeq: undefined}
    known.set(idOf(vm), {...kept, vm})
  }
  return known
}

const idOf = (vm: Vm): string => vm.agent?.id ?? machineOf(vm)

function withAdvice(detail: string, reason: NoteRefusal, vm: Vm, {to}: ServeSiteRequest): string {
  if (reason !== 'no_site') return detail
  return `${detail}; if it runs at site ${to.site} now: gwswitch switch ${vm.name} --to ${to.site}`
}

function whyNot(offered: NotTaken, waitMs: number): string {
  const seconds = Math.ceil(waitMs / 1000)
  switch (offered) {
    case 'under_way':
      return 'it is being switched'
    case 'too_soon':
      return `it was switched a moment ago; not again for ${seconds} s`
    case 'backing_off':
      return `its last switch failed; not again for ${seconds} s`
    case 'full':
      return 'too many others wait'
    case 'fuse':
      return 'the switches of others failed: nothing is switched until the fuse is replaced'
  }
}
