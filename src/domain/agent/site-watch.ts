// Where the VM is, by the beacons it hears, and when it asks for another gateway. Pure: what happens comes in as events with
// the time, what is to be done goes out as actions.

import {isIpv4} from '../../wire/address.ts'
import type {NoteReason} from '../../wire/agent-beacon.ts'
import type {Endpoint} from '../../wire/endpoint.ts'
import {nearestSite} from './nearest.ts'

/** How long it listens after a move, ms; half as long as the beacons' own lifetime where that is more, and not for ever. */
const LISTEN_MS = 2500
const LISTEN_LIMIT_MS = 10_000
/** QEMU announces a moved VM five times within a second: one move. */
const BURST_MS = 3000
/** For how long after the first of them beacons of the place before may still come out of the socket. */
const STALE_MS = 100
/** For how long another site must be the nearest one before that counts as a move that no NIC announced. */
const SETTLE_MS = 5000
/** How old a measurement may be: while all is as it was, and while a change is settling. */
const MEASURE_EVERY_MS = 10_000
const MEASURE_AGAIN_MS = 2000
/** Pauses between notes, ms. With the first, one note more than pauses. */
const REPEAT_MS: readonly number[] = [2000, 4000, 8000, 16_000, 30_000]
/**
 * Pauses before it asks again after a switch that failed, ms: as long as a site's controller leaves the VM alone then
 * (`backOffMs` in services/site/switch-queue). Each try may move the VM's traffic for a moment: not for ever.
 */
const BACK_OFF_MS: readonly number[] = [30_000, 60_000, 120_000, 300_000, 600_000]
/** A failure after this long without one is the first of its kind, ms. */
const FORGET_MS = 3_600_000
const TARGET_LIMIT = 8

/** The last beacon of a key. */
export interface Heard {
  readonly site: string
  readonly segment: string | undefined
  readonly gateways: readonly string[]
  readonly ask: readonly Endpoint[]
  readonly atMs: number
  /** Until then it says that the site is here. */
  readonly untilMs: number
}

export interface KnownSite {
  readonly site: string
  readonly gateways: readonly string[]
}

export type WatchPhase =
  | {readonly kind: 'settled'}
  | {readonly kind: 'listening'; readonly untilMs: number}
  | {readonly kind: 'measuring'}
  | {readonly kind: 'asking'; readonly note: NoteOrder; readonly sent: number; readonly againMs: number}
  /** A switch failed: it asks again, if that is still to be wished then. */
  | {readonly kind: 'backing_off'; readonly untilMs: number}

export interface NoteOrder {
  readonly why: NoteReason
  /** Undefined: it does not know where it is. */
  readonly site: string | undefined
  readonly to: readonly Endpoint[]
}

export interface MeasureTarget {
  /** Undefined: the gateway in use, which no site claims. */
  readonly site: string | undefined
  readonly address: string
}

export interface SiteWatch {
  readonly phase: WatchPhase
  /** By kid: never more than there are trusted keys. */
  readonly heard: Readonly<Record<string, Heard>>
  /** Where it is; undefined while it does not know. */
  readonly site: string | undefined
  /** Where it was when it last knew. */
  readonly last: KnownSite | undefined
  readonly movedMs: number | undefined
  /** Another site than `last` that is the only or the nearest one, and since when. */
  readonly change: {readonly site: string; readonly sinceMs: number} | undefined
  readonly round: number
  readonly measuring: readonly MeasureTarget[] | undefined
  readonly measured: {readonly key: string; readonly atMs: number; readonly nearest: string | undefined} | undefined
  readonly note: SentNote | undefined
  /** Tries that came to nothing since it came here, and when the last one did; none before a switch has failed. */
  readonly failed: {readonly count: number; readonly atMs: number} | undefined
}

/** The last one. */
export interface SentNote {
  readonly why: NoteReason
  readonly site: string | undefined
  readonly atMs: number
  /** How often it was said so far. */
  readonly sent: number
}

export const NOTHING_HEARD: SiteWatch = {
  phase: {kind: 'settled'},
  heard: {},
  site: undefined,
  last: undefined,
  movedMs: undefined,
  change: undefined,
  round: 0,
  measuring: undefined,
  measured: undefined,
  note: undefined,
  failed: undefined,
}

export type WatchEvent =
  | {readonly kind: 'beacon'; readonly kid: string; readonly heard: Heard}
  /** A NIC announces itself (NOTIFY PEERS): the VM was probably moved. */
  | {readonly kind: 'notify_peers'}
  /** What `measure` found, ms by address; without what did not answer. */
  | {readonly kind: 'rtts'; readonly round: number; readonly rtts: ReadonlyMap<string, number>}
  /** {@link dueMs} is over. */
  | {readonly kind: 'tick'}
  /** A switch command was obeyed: that is the answer, whatever becomes of it. */
  | {readonly kind: 'switch'}
  /** It came to nothing, or was undone: refused, rolled back. */
  | {readonly kind: 'switch_failed'}

export type WatchAction =
  | {readonly kind: 'measure'; readonly round: number; readonly targets: readonly MeasureTarget[]}
  | ({readonly kind: 'note'} & NoteOrder)
  | {readonly kind: 'log'; readonly text: string}

/** What is so now. */
export interface WatchNow {
  /** On a clock that never goes back, ms. */
  readonly nowMs: number
  /** Whether beacons are heard at all. */
  readonly beacons: boolean
  /** How many keys could send one: once all are heard, there is none to wait for. */
  readonly keys: number
  readonly askOnMove: readonly Endpoint[]
  gateways(): {readonly gw4?: string; readonly gw6?: string}
}

export interface WatchStep {
  readonly watch: SiteWatch
  readonly actions: readonly WatchAction[]
}

/** When a `tick` is wanted, ms; undefined if none is. */
export const dueMs = ({phase}: SiteWatch): number | undefined =>
  'untilMs' in phase ? phase.untilMs : phase.kind === 'asking' ? phase.againMs : undefined

type Turn = {now: WatchNow; watch: SiteWatch; actions: WatchAction[]}

export function step(watch: SiteWatch, event: WatchEvent, now: WatchNow): WatchStep {
  const turn: Turn = {now, watch, actions: []}
  switch (event.kind) {
    case 'beacon':
      hear(turn, event.kid, event.heard)
      break
    case 'notify_peers':
      move(turn)
      break
    case 'rtts':
      if (event.round === watch.round) measured(turn, event.rtts)
      break
    case 'tick':
      tick(turn)
      break
    case 'switch':
      if (watch.phase.kind === 'asking' || watch.phase.kind === 'backing_off') put(turn, {phase: {kind: 'settled'}})
      break
    case 'switch_failed':
      failed(turn)
  }
  return {watch: turn.watch, actions: turn.actions}
}

function put(turn: Turn, over: Partial<SiteWatch>): void {
  turn.watch = {...turn.watch, ...over}
}

function say({actions}: Turn, text: string): void {
  actions.push({kind: 'log', text})
}

function hear(turn: Turn, kid: string, heard: Heard): void {
  put(turn, {heard: {...turn.watch.heard, [kid]: heard}})
  const {phase, heard: all} = turn.watch
  if (phase.kind === 'listening') {
    if (Object.keys(all).length >= turn.now.keys) conclude(turn)
  } else if (phase.kind !== 'measuring') follow(turn)
}

/** What was heard before was heard where the VM was. */
function move(turn: Turn): void {
  const {now, watch} = turn
  const {nowMs} = now
  const first = watch.movedMs !== undefined && nowMs - watch.movedMs < BURST_MS ? watch.movedMs : undefined
  if (first !== undefined && watch.phase.kind !== 'listening') return
  if (first === undefined) say(turn, 'an interface announces itself: this VM was probably moved')
  const lifetimes = Object.values(watch.heard).map(({atMs, untilMs}) => untilMs - atMs)
  const waitMs = Math.min(Math.max(LISTEN_MS, ...lifetimes.map((ms) => ms / 2)), LISTEN_LIMIT_MS)
  const untilMs = watch.phase.kind === 'listening' && first !== undefined ? watch.phase.untilMs : nowMs + waitMs
  put(turn, {heard: first === undefined ? {} : heardSince(watch, first + STALE_MS)})
  put(turn, {site: undefined, change: undefined, measuring: undefined, measured: undefined})
  // A measurement that is under way is of the place before.
  put(turn, {round: watch.round + 1, movedMs: first ?? nowMs, phase: {kind: 'listening', untilMs}})
  if (!now.beacons) decide(turn, undefined, 'notify_peers')
}

const heardSince = ({heard}: SiteWatch, ms: number): SiteWatch['heard'] =>
  Object.fromEntries(Object.entries(heard).filter(([, {atMs}]) => atMs > ms))

function tick(turn: Turn): void {
  const {phase} = turn.watch
  const due = dueMs(turn.watch)
  if (due === undefined || due > turn.now.nowMs) return
  if (phase.kind === 'listening') conclude(turn)
  else if (phase.kind === 'asking') askAgain(turn, phase)
  else if (phase.kind === 'backing_off') retry(turn)
}

/** The sites whose beacons count now, each with all that was heard of it. */
function freshSites({now, watch}: Turn): Map<string, {gateways: string[]; ask: Endpoint[]}> {
  const sites = new Map<string, {gateways: string[]; ask: Endpoint[]}>()
  for (const {site, gateways, ask, untilMs} of Object.values(watch.heard)) {
    if (untilMs <= now.nowMs) continue
    const known = sites.get(site) ?? {gateways: [], ask: []}
    sites.set(site, {gateways: [...known.gateways, ...gateways], ask: [...known.ask, ...ask]})
  }
  return sites
}

/** After a move, when everybody who is here was heard. */
function conclude(turn: Turn): void {
  const targets = targetsOf(turn)
  const [first] = targets
  if (targets.length <= 1) decide(turn, first?.site, 'notify_peers')
  else {
    put(turn, {phase: {kind: 'measuring'}})
    measure(turn, targets)
  }
}

/** What to measure to tell where it is; one or none if there is nothing to compare. */
function targetsOf(turn: Turn): readonly MeasureTarget[] {
  const sites = [...freshSites(turn)]
  const all = sites.flatMap(([, {gateways}]) => gateways)
  const used = usedBeside(turn, all)
  return [
    ...(used === undefined || all.includes(used) ? [] : [{site: undefined, address: used}]),
    ...sites.flatMap(([site, {gateways}]) => usual(gateways).map((address) => ({site, address}))),
  ].slice(0, TARGET_LIMIT)
}

/** A measurement is good for as long as it would be of the same. */
const keyOf = (targets: readonly MeasureTarget[]): string =>
  targets.map(({site = '', address}) => `${site} ${address}`).join(', ')

function measure(turn: Turn, targets: readonly MeasureTarget[]): void {
  const round = turn.watch.round + 1
  put(turn, {round, measuring: targets})
  turn.actions.push({kind: 'measure', round, targets})
}

/** One family is enough; IPv4 where there is any. */
const usual = (gateways: readonly string[]): readonly string[] =>
  gateways.some(isIpv4) ? [...new Set(gateways.filter(isIpv4))] : [...new Set(gateways)]

function measured(turn: Turn, found: ReadonlyMap<string, number>): void {
  const {measuring, phase} = turn.watch
  if (measuring === undefined) return
  const rtts = new Map<string, number | undefined>()
  for (const {site, address} of measuring) {
    const both = [rtts.get(site ?? ''), found.get(address)].filter((ms) => ms !== undefined)
    rtts.set(site ?? '', both.length === 0 ? undefined : Math.min(...both))
  }
  const heard = [...freshSites(turn).keys()].filter((site) => rtts.has(site))
  const nearest = nearestSite(rtts, heard, rtts.get(''))
  put(turn, {measuring: undefined, measured: {key: keyOf(measuring), atMs: turn.now.nowMs, nearest}})
  if (phase.kind === 'measuring') decide(turn, nearest, 'notify_peers')
  else follow(turn)
}

/** While all is quiet: notices a site that has come in the place of another. */
function follow(turn: Turn): void {
  const {nowMs} = turn.now
  const {last, site, change, measured: before, measuring} = turn.watch
  const targets = targetsOf(turn)
  let nearest = targets[0]?.site
  if (targets.length > 1) {
    const maxAgeMs = change === undefined ? MEASURE_EVERY_MS : MEASURE_AGAIN_MS
    if (before?.key !== keyOf(targets) || nowMs - before.atMs >= maxAgeMs) {
      if (measuring === undefined) measure(turn, targets)
      return
    }
    nearest = before.nearest
  }
  if (nearest === undefined || nearest === site) put(turn, {change: undefined})
  // Finding out where it is, or that it is still there, is no move.
  else if (last === undefined || nearest === last.site) settle(turn, nearest)
  else if (change?.site !== nearest) put(turn, {change: {site: nearest, sinceMs: nowMs}})
  else if (nowMs - change.sinceMs >= SETTLE_MS) decide(turn, nearest, 'beacons')
}

function settle(turn: Turn, site: string): void {
  const {last} = turn.watch
  const gateways = freshSites(turn).get(site)?.gateways ?? (last?.site === site ? last.gateways : [])
  put(turn, {site, last: {site, gateways}, change: undefined})
  say(turn, `this VM is in site ${site}`)
}

function decide(turn: Turn, site: string | undefined, why: NoteReason): void {
  if (site !== undefined) settle(turn, site)
  put(turn, {phase: {kind: 'settled'}, failed: undefined})
  const heard = freshSites(turn)
  const to = askedFor(turn, site)
  if (site === undefined && turn.now.beacons) say(turn, unknownText([...heard.keys()]))
  if (site !== undefined && usesGatewayOf(turn)) say(turn, 'its gateway is in use: nothing to ask for')
  else if (to.length === 0) say(turn, 'there is nobody to ask for a gateway')
  else send(turn, {why, site, to}, 1)
}

const askedFor = (turn: Turn, site: string | undefined): Endpoint[] =>
  distinct([...(freshSites(turn).get(site ?? '')?.ask ?? []), ...turn.now.askOnMove])

const unknownText = (heard: readonly string[]): string =>
  heard.length === 0
    ? 'no beacon heard: it is not known which site this VM is in'
    : `beacons of ${heard.join(', ')} heard: none of them is clearly where this VM is`

/** The gateway in use, to be compared with these: of both families IPv4 decides, as one router serves both. */
function usedBeside({now}: Turn, gateways: readonly string[]): string | undefined {
  const {gw4, gw6} = now.gateways()
  return gw4 !== undefined && gateways.some(isIpv4) ? gw4 : gateways.every(isIpv4) ? undefined : gw6
}

function usesGatewayOf(turn: Turn): boolean {
  const gateways = turn.watch.last?.gateways ?? []
  return gateways.includes(usedBeside(turn, gateways) ?? '')
}

const distinct = (endpoints: readonly Endpoint[]): Endpoint[] =>
  endpoints.filter(({address, port}, i) => endpoints.findIndex((e) => e.address === address && e.port === port) === i)

function send(turn: Turn, note: NoteOrder, sent: number): void {
  const {nowMs} = turn.now
  const againMs = nowMs + (REPEAT_MS[sent - 1] ?? REPEAT_MS.at(-1)!)
  put(turn, {phase: {kind: 'asking', note, sent, againMs}, note: {why: note.why, site: note.site, atMs: nowMs, sent}})
  turn.actions.push({kind: 'note', ...note})
}

function askAgain(turn: Turn, {note, sent}: WatchPhase & {kind: 'asking'}): void {
  const arrived = note.site !== undefined && usesGatewayOf(turn)
  if (!arrived && sent <= REPEAT_MS.length) send(turn, note, sent + 1)
  // Its controller may be waiting for longer than that after the failure.
  else if (!arrived && turn.watch.failed !== undefined) backOff(turn, `no answer to ${sent} notes`)
  else {
    put(turn, {phase: {kind: 'settled'}})
    if (!arrived) say(turn, `no answer to ${sent} notes: not asked again`)
  }
}

/** After a move it finds out anew where it is, and asks in any case. */
function failed(turn: Turn): void {
  const {now, watch} = turn
  const {phase, site} = watch
  if (!now.beacons || phase.kind === 'listening' || phase.kind === 'measuring') return
  // An agent that was just started does not know its site yet: that is seen when the pause is over.
  if (site === undefined || !usesGatewayOf(turn)) backOff(turn, 'the switch came to nothing')
}

function backOff(turn: Turn, why: string): void {
  const {now, watch} = turn
  const {nowMs} = now
  const before = watch.failed !== undefined && nowMs - watch.failed.atMs < FORGET_MS ? watch.failed.count : 0
  const pauseMs = BACK_OFF_MS[before]
  put(turn, {failed: {count: before + 1, atMs: nowMs}})
  if (pauseMs === undefined) {
    put(turn, {phase: {kind: 'settled'}})
    say(turn, `${why}, ${before + 1} times now: not asked again until the next move`)
    return
  }
  put(turn, {phase: {kind: 'backing_off', untilMs: nowMs + pauseMs}})
  say(turn, `${why}: asked again in ${pauseMs / 1000} s if another site's gateway is in use then`)
}

/** Asks again for the gateway of the site it is in; that may be another one by now, or in use. */
function retry(turn: Turn): void {
  const {site, note} = turn.watch
  put(turn, {phase: {kind: 'settled'}})
  if (site === undefined || usesGatewayOf(turn)) return
  const to = askedFor(turn, site)
  if (to.length === 0) backOff(turn, 'there is nobody to ask for a gateway')
  else send(turn, {why: note?.why ?? 'beacons', site, to}, 1)
}
