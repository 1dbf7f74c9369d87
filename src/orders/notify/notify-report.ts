// What `notify-agent` says afterwards: the JSON document gwswitch.notify-agent/1, and the same for people.

import type {ProofCode} from '../../domain/proof/proof.ts'
import {EXIT} from '../../errors.ts'
import {tableLines} from '../../render/table.ts'
import {timeline} from '../../render/timeline.ts'
import {
  type GatewayPair,
  gatewaysText,
  isSigned,
  type NotifyTiming,
  type Standing,
  transportText,
} from '../../strategies/agent/conversation.ts'
import {guestCommands} from '../../strategies/agent/guest-route.ts'
import {commandOf} from '../../strategies/agent/signed.ts'
import {isContradicted, type NotifyRequest, type NotifyRow} from './notify.ts'

export interface NotifyVm {
  readonly vm: string
  readonly id: string
  readonly transport: string
  /** `failed`: it could not be tried; `unknown`: stopped, and not taken back for certain; `detail` says why. Null in a dry run. */
  readonly state: Standing['state'] | 'failed' | 'unknown' | null
  readonly reason: string | null
  readonly detail: string | null
  /** Whether it is served, as seen from this host; null where nothing was changed. `unverified`: its own word is all there is. */
  readonly code: ProofCode | null
  readonly evidence: readonly string[]
  /** What it was asked to use, and what it says that it uses. */
  readonly wanted: GatewayPair
  readonly gateways: GatewayPair
  readonly mode: string | null
  /** Messages sent; with the QEMU guest agent, programs run. */
  readonly attempts: number
  /** ms from the first message out; see NotifyTiming. */
  readonly timing: NotifyTiming | null
  readonly events: readonly {readonly atMs: number; readonly text: string}[]
  /** Dry run: what would be said (unsigned), or run in the guest. */
  readonly would: unknown
}

export interface NotifyDocument {
  readonly schema: 'gwswitch.notify-agent/1'
  readonly run: string
  readonly dryRun: boolean
  readonly vms: readonly NotifyVm[]
  /** That of the process. */
  readonly exitCode: number
}

/** `stopped` is the exit code of the signal that ended the run, if one did. */
export function notifyDocument(run: string, rows: readonly NotifyRow[], stopped?: number): NotifyDocument {
  const vms = rows.map(vmOf)
  return {schema: 'gwswitch.notify-agent/1', run, dryRun: false, vms, exitCode: exitOf(rows, stopped)}
}

/** The document of a dry run. */
export function plannedDocument(run: string, notices: readonly NotifyRequest[]): NotifyDocument {
  const vms = notices.map((notice): NotifyVm => {
    const nothing = {
      state: null,
      reason: null,
      detail: null,
      code: null,
      evidence: [],
      gateways: {v4: null, v6: null},
      mode: notice.order.mode,
    }
    return {...headOf(notice), ...nothing, attempts: 0, timing: null, events: [], would: wouldOf(notice)}
  })
  return {schema: 'gwswitch.notify-agent/1', run, dryRun: true, vms, exitCode: 0}
}

const headOf = ({target, order}: NotifyRequest) => ({
  vm: target.name,
  id: target.id,
  transport: transportText(target.transport),
  wanted: order.to,
})

function wouldOf({target, order, key}: NotifyRequest): unknown {
  if (!isSigned(target.transport)) return guestCommands(order.to)
  // What is drawn when it is sent is not shown.
  const {seq, nonce, iat, exp, ...payload} = commandOf('switch', target, order, {seq: 0, nonce: '', nowNs: 0n})
  return {kid: target.kid ?? key?.kid ?? null, payload}
}

function vmOf(row: NotifyRow): NotifyVm {
  const startNs = row.events[0]?.atNs ?? 0n
  const events = row.events.map(({atNs, text}) => ({atMs: Number(atNs - startNs) / 1e6, text}))
  if (row.failure !== undefined) {
    const {kind} = row.failure
    const state = kind === 'silent' || kind === 'refused' || kind === 'unknown' ? kind : 'failed'
    const nothing = {
      reason: null,
      code: codeOf(state),
      evidence: [],
      gateways: {v4: null, v6: null},
      mode: null,
      attempts: 0,
      timing: null,
      would: null,
    }
    return {...headOf(row), ...nothing, state, detail: row.failure.message, events}
  }
  const {state, reason, detail, gateways, mode, attempts, timing} = row.standing
  const known = reason === 'partial' || reason === 'already' ? reason : codeOf(state)
  // What the VM itself knows to have stayed behind, need not show from here.
  const code = reason === 'partial' && !isNotServed(row) ? reason : (row.proof?.code ?? known)
  const seen = {code, evidence: row.proof?.evidence ?? []}
  return {...headOf(row), state, reason, detail, ...seen, gateways, mode, attempts, timing, events, would: null}
}

/** Where nothing was seen from here. */
const codeOf = (state: NotifyVm['state']): ProofCode | null =>
  state === 'confirmed' || state === 'applied' || state === 'unknown'
    ? 'unverified'
    : state === 'silent'
      ? 'silent'
      : null

/**
 * The first of these that any VM ended in: not known, stopped by a signal, could not be tried, rolled back, refused or not
 * served by what it says that it uses, silent or undecided.
 */
function exitOf(rows: readonly NotifyRow[], stopped: number | undefined): number {
  if (rows.some(({failure}) => failure?.kind === 'unknown')) return EXIT.unknown
  if (stopped !== undefined && !rows.every(({standing}) => standing?.state === 'confirmed')) return stopped
  const broken = rows.find(
    ({failure}) => failure !== undefined && failure.kind !== 'silent' && failure.kind !== 'refused',
  )
  if (broken?.failure) return EXIT[broken.failure.kind]
  const states = rows.map((row) => row.standing?.state ?? row.failure?.kind)
  if (states.includes('rolled_back')) return EXIT['rolled-back']
  if (states.includes('refused') || rows.some(isNotServed)) return EXIT.refused
  return states.every((state) => state === 'confirmed') ? 0 : EXIT.silent
}

/** It says that it is there, and what was seen from here speaks against it. */
const isNotServed = ({standing, proof}: NotifyRow): boolean =>
  standing?.state === 'confirmed' && isContradicted(standing, proof)

const WORDS: Readonly<Record<string, string>> = {
  confirmed: 'CONFIRMED',
  applied: 'UNDECIDED',
  received: 'UNDECIDED',
  rolled_back: 'ROLLED BACK',
  refused: 'REFUSED',
  silent: 'NO ANSWER',
  failed: 'FAILED',
  unknown: 'UNKNOWN',
}

/** What is confirmed in part, or by the VM alone against what was seen, is not said as if it were all. */
function wordOf({state, code}: NotifyVm): string {
  if (state === 'confirmed' && code === 'partial') return 'PARTIAL'
  if (state === 'confirmed' && (code === 'elsewhere' || code === 'target-dead')) return 'NOT SERVED'
  return WORDS[state ?? ''] ?? ''
}

export function notifyText(document: NotifyDocument): string[] {
  if (document.dryRun) return [...document.vms.flatMap(plannedLines), '', 'dry run: nothing was sent']
  const [only, ...others] = document.vms
  if (only && others.length === 0) return singleText(only)
  const head = ['', 'VM', 'gateway', 'mode', 'received', 'applied', 'confirmed', 'asked', '']
  const rows = document.vms.map((vm) => [
    wordOf(vm),
    vm.vm,
    gatewaysText(vm.state === 'confirmed' ? vm.gateways : vm.wanted),
    vm.mode ?? '',
    ...[vm.timing?.receivedMs, vm.timing?.appliedMs, vm.timing?.confirmedMs].map(msText),
    `${vm.attempts}`,
    vm.state === 'confirmed' ? (vm.detail ?? '') : whyText(vm),
  ])
  const confirmed = document.vms.filter(({state}) => state === 'confirmed').length
  const align = ['left', 'left', 'left', 'left', 'right', 'right', 'right', 'right', 'left'] as const
  return [
    ...tableLines([head, ...rows], {align}),
    '',
    `${confirmed} of ${document.vms.length} VMs confirmed (run ${document.run})`,
  ]
}

function singleText(vm: NotifyVm): string[] {
  const {timing} = vm
  const verdict =
    vm.state === 'confirmed'
      ? `${vm.vm} uses ${gatewaysText(vm.gateways)}${vm.mode ? ` (${vm.mode})` : ''}: ${vm.reason === null ? timesText(timing) : whyText(vm)}`
      : `${vm.vm}: ${whyText(vm)}`
  const seen =
    vm.state !== 'confirmed'
      ? []
      : vm.evidence.length > 0
        ? vm.evidence
        : ['by its own word: what it sends cannot be seen from here (-i names its port)']
  const lines = [`${wordOf(vm).padEnd(11)} ${verdict}`, ...seen.map((line) => `${''.padEnd(11)} ${line}`)]
  return [...timeline(vm.events), '', ...lines]
}

function timesText(timing: NotifyTiming | null): string {
  const parts = [
    ['applied', timing?.appliedMs],
    ['confirmed', timing?.confirmedMs],
  ] as const
  return (
    parts.flatMap(([word, ms]) => (typeof ms === 'number' ? [`${word} ${ms.toFixed(1)} ms`] : [])).join(', ') +
    ' after the command went out'
  )
}

const whyText = ({reason, detail, state}: NotifyVm): string =>
  [reason, detail].filter((part) => part !== null).join(': ') ||
  (state === 'applied' ? 'applied, and not decided in time' : 'not decided in time')

const msText = (ms: number | null | undefined): string => (typeof ms === 'number' ? `${ms.toFixed(1)} ms` : '')

function plannedLines({vm, transport, wanted, would}: NotifyVm): string[] {
  const lines = Array.isArray(would) ? would.map((line) => `  ${line}`) : [`  ${JSON.stringify(would)}`]
  return [`${vm} by ${transport}: use ${gatewaysText(wanted)}`, ...lines]
}
