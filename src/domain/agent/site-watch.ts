// Where the VM is, by the beacons it hears, and when it asks for another gateway. Pure: what happens comes in as events with
// the time, what is to be done goes out as actions.

import type {NoteReason} from '../../wire/agent-beacon.ts'
import type {Endpoint} from '../../wire/endpoint.ts'
import {nearestSite} from './nearest.ts'
import {freshSites, keyOf, targetsOf, usedBeside} from './site-targets.ts'
import {
  dueMs,
  type Heard,
  type MeasureTarget,
  type NoteOrder,
  type SiteWatch,
  type WatchAction,
  type WatchEvent,
  type WatchNow,
  type WatchPhase,
  type WatchStep,
} from './site-watch-state.ts'

export * from './site-watch-state.ts'

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
      if (event.round === watch.round) measured(turn, event)
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
  const sites = [...freshSites(turn).keys()]
  if (sites.length > 1) put(turn, {together: [...new Set([...turn.watch.together, ...sites])]})
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
  put(turn, {site: undefined, change: undefined, measuring: undefined, measured: undefined, doubted: false})
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

function measure(turn: Turn, targets: readonly MeasureTarget[]): void {
  const round = turn.watch.round + 1
  put(turn, {round, measuring: targets})
  turn.actions.push({kind: 'measure', round, targets})
}

function measured(turn: Turn, {rtts: found, resolved}: WatchEvent & {kind: 'rtts'}): void {
  const {measuring, phase} = turn.watch
  if (measuring === undefined) return
  const rtts = new Map<string, number | undefined>()
  for (const {site, address} of measuring) {
    const both = [rtts.get(site ?? ''), found.get(address)].filter((ms) => ms !== undefined)
    rtts.set(site ?? '', both.length === 0 ? undefined : Math.min(...both))
  }
  const heard = [...freshSites(turn).keys()].filter((site) => rtts.has(site))
  const inUse = measuring.find(({site}) => site === undefined)
  const living = inUse !== undefined && (found.has(inUse.address) || resolved.has(inUse.address))
  const nearest = nearestSite(rtts, heard, {
    ms: rtts.get(''),
    living,
    // The announcement and the silence of the place before tell of a move together, if that place was not heard here.
    arrived: phase.kind === 'measuring' && !heard.some((site) => besideLast(turn.watch, site)),
  })
  put(turn, {
    measuring: undefined,
    measured: {key: keyOf(measuring), atMs: turn.now.nowMs, nearest: nearest ?? back(turn, rtts)},
  })
  if (phase.kind === 'measuring') decide(turn, nearest, 'notify_peers')
  else follow(turn)
}

const besideLast = ({together, last}: SiteWatch, site: string): boolean =>
  last !== undefined && site !== last.site && together.includes(site) && together.includes(last.site)

/** The site that it left as all of it was silent, once its gateway answers again. */
const back = ({watch}: Turn, rtts: ReadonlyMap<string, number | undefined>): string | undefined =>
  watch.home !== undefined && rtts.get(watch.home) !== undefined ? watch.home : undefined

/** While all is quiet: notices a site that has come in the place of another. */
function follow(turn: Turn): void {
  const {nowMs} = turn.now
  const {last, site, change, measured: before, measuring, doubted} = turn.watch
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
  if (nearest === undefined) unclear(turn)
  else if (nearest === site) put(turn, {change: undefined})
  // Finding out where it is, or that it is still there, is no move; that a gateway died by which it was in doubt is as good as one.
  else if ((last === undefined && !doubted) || nearest === last?.site) settle(turn, nearest)
  else if (change?.site !== nearest) put(turn, {change: {site: nearest, sinceMs: nowMs}})
  else if (nowMs - change.sinceMs >= SETTLE_MS) decide(turn, nearest, 'beacons')
}

/** None of those that are heard is clearly where it is. */
function unclear(turn: Turn): void {
  const {last, site, doubted} = turn.watch
  const heard = [...freshSites(turn).keys()]
  put(turn, {change: undefined})
  if (last !== undefined && heard.includes(last.site)) {
    // As before, unless a move was announced since.
    if (doubted && site === undefined) settle(turn, last.site)
    return
  }
  if (doubted || (site === undefined && last !== undefined)) return
  put(turn, {site: undefined, doubted: true})
  say(turn, `${unknownText(heard)}; the gateway in use answers and stays`)
}

function settle(turn: Turn, site: string): void {
  const {last} = turn.watch
  const gateways = freshSites(turn).get(site)?.gateways ?? (last?.site === site ? last.gateways : [])
  put(turn, {site, last: {site, gateways}, change: undefined, doubted: false})
  say(turn, `this VM is in site ${site}`)
}

function decide(turn: Turn, site: string | undefined, why: NoteReason): void {
  const {last} = turn.watch
  const fled = why === 'beacons' && last !== undefined && !freshSites(turn).has(last.site)
  put(turn, {home: fled ? last.site : undefined})
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
