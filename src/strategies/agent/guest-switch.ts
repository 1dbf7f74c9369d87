// A switch in a guest without an agent of ours: what is asked of the guest next, and what its answers mean. Pure: orders and
// answers come in as events with the time, what is to be asked and said goes out as actions, one question at a time.
//
// Its own way back is armed in the guest before anything is changed, and whoever takes the file of it away decides: the
// guest, when its time is over, or we, who confirm or go back.
import type {CommandResult} from '../../net/process/command.ts'
import type {GuestInterface} from '../../net/stream/qga.ts'
import {type Ipv4, isIpv4} from '../../wire/address.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {type GatewayPair, gatewaysText, type Standing} from './conversation.ts'
import {
  type Change,
  chooseChange,
  chooseNics,
  type Family,
  familiesOf,
  gatewayFor,
  isWhy,
  probesOf,
  unfit,
  type Why,
} from './guest-choice.ts'
import {
  dropSaved,
  fileOf,
  goBackAfterS,
  goBackLater,
  ipLine,
  neighShow,
  ping,
  ranText,
  readSaved,
  routeGet,
  routeReplace,
  routeShow,
  save,
  takeSaved,
  wayBack,
  whyOf,
} from './guest-command.ts'
import {gatewayOf, readDefaultRoutes} from './guest-route.ts'
import {
  type Answer,
  ask,
  done,
  type GuestAction,
  type GuestEvent,
  type GuestPhase,
  type GuestSwitch,
  type Purpose,
  run,
  say,
  type Turn,
  time,
} from './guest-turn.ts'

const NONE: GatewayPair = {v4: null, v6: null}
/** Nobody says how it stands. */
const UNKNOWN: Omit<Standing, 'timing'> = {
  state: 'silent',
  reason: null,
  detail: null,
  gateways: NONE,
  mode: 'replace',
  attempts: 0,
}

/** What is tried or changed is said; what is only read is not. */
const LOUD: ReadonlySet<GuestPhase['kind']> = new Set([
  'asking_gateway',
  'applying',
  'probing',
  'running_saved',
  'writing_old_gateway',
])

/**
 * After every event but `opened` the last action is a question or `done`. `nowMs`: since the conversation began. Throws
 * for an answer that was not asked for.
 */
export function step(
  state: GuestSwitch,
  event: GuestEvent,
  nowMs: number,
): {readonly state: GuestSwitch; readonly actions: readonly GuestAction[]} {
  const turn: Turn = {nowMs, state, actions: []}
  switch (event.kind) {
    case 'begin':
      begin(turn)
      break
    case 'confirm':
      run(turn, {kind: 'disarming'}, takeSaved(state.order))
      break
    case 'roll_back':
      goBack(turn, undefined)
      break
    case 'opened':
      time(turn, 'receivedMs')
      break
    case 'failed':
      done(turn, {...UNKNOWN, state: event.state, detail: event.detail})
      break
    default:
      answered(turn, event)
  }
  return {state: turn.state, actions: turn.actions}
}

function answered(turn: Turn, answer: Answer): void {
  const {phase} = turn.state
  if (answer.kind === 'ran') ran(turn, phase, answer)
  else if (answer.kind === 'interfaces' && phase.kind === 'finding_nic') found(turn, answer.nics)
  else if (answer.kind === 'started' && phase.kind === 'arming') armed(turn, phase.changes)
  else throw notAsked(answer, phase)
}

const notAsked = ({kind}: Answer, phase: GuestPhase): Error => new Error(`"${kind}" is no answer to ${phase.kind}`)

function ran(turn: Turn, phase: GuestPhase, answer: Answer & {kind: 'ran'}): void {
  const {argv, result} = answer
  if (LOUD.has(phase.kind)) say(turn, ranText(argv, result))
  switch (phase.kind) {
    case 'reading_route':
      routeRead(turn, phase, result)
      break
    case 'asking_gateway':
      readNeighbour(turn, phase.changes, phase.at)
      break
    case 'reading_neighbour':
      neighbourRead(turn, phase, result)
      break
    case 'saving':
      saved(turn, phase.changes, result)
      break
    case 'applying':
      applied(turn, phase, result)
      break
    case 'probing':
      probed(turn, phase, result)
      break
    case 'disarming':
      readGateways(turn, {kind: 'confirm', disarmed: result.code === 0})
      break
    case 'reading_saved':
      savedRead(turn, phase.why, result)
      break
    case 'running_saved':
      runSaved(turn, phase.lines.slice(1), phase.why)
      break
    case 'dropping_saved':
      wentBack(turn, phase.why)
      break
    case 'reading_new_route':
      newRouteRead(turn, phase, result)
      break
    case 'writing_old_gateway':
      readNewRoute(turn, phase.at + 1, phase.why)
      break
    case 'reading_gateways':
      gatewayRead(turn, phase, result)
      break
    default:
      throw notAsked(answer, phase)
  }
}

/** As the guest's own kernel tells it at the end. */
const report = (turn: Turn, state: Standing['state'], why?: Why): void =>
  readGateways(turn, {kind: 'report', state, why})

// What is to be changed, and whether it can be.

function begin(turn: Turn): void {
  const why = unfit(turn.state.order)
  if (why) report(turn, 'refused', why)
  else ask(turn, {kind: 'finding_nic'}, {kind: 'interfaces'})
}

function found(turn: Turn, all: readonly GuestInterface[]): void {
  const nics = chooseNics(all, turn.state.target)
  if (isWhy(nics)) report(turn, 'refused', nics)
  else readRoute(turn, nics, [])
}

function readRoute(turn: Turn, nics: readonly GuestInterface[], changes: readonly Change[]): void {
  const family = familiesOf(turn.state.order)[changes.length]
  if (family === undefined) askGateway(turn, changes, 0)
  else run(turn, {kind: 'reading_route', nics, changes}, routeShow(family))
}

function routeRead(turn: Turn, phase: GuestPhase & {kind: 'reading_route'}, {stdout}: CommandResult): void {
  const {order} = turn.state
  const {nics, changes} = phase
  const family = familiesOf(order)[changes.length]!
  const change = chooseChange(order, family, readDefaultRoutes(stdout, family), nics)
  if (isWhy(change)) report(turn, 'refused', change)
  else readRoute(turn, nics, [...changes, change])
}

function askGateway(turn: Turn, changes: readonly Change[], at: number): void {
  const change = changes[at]
  if (change === undefined) run(turn, {kind: 'saving', changes}, save(turn.state.order, wayBack(changes)))
  else run(turn, {kind: 'asking_gateway', changes, at}, ping(change.to, change.device))
}

function readNeighbour(turn: Turn, changes: readonly Change[], at: number): void {
  const {to, device} = changes[at]!
  run(turn, {kind: 'reading_neighbour', changes, at}, neighShow(to, device))
}

function neighbourRead(turn: Turn, phase: GuestPhase & {kind: 'reading_neighbour'}, {stdout}: CommandResult): void {
  const {to, device} = phase.changes[phase.at]!
  const detail = `${to} does not answer ${isIpv4(to) ? 'ARP' : 'ND'} on ${device}`
  if (/lladdr/.test(stdout) && !/FAILED|INCOMPLETE/.test(stdout)) askGateway(turn, phase.changes, phase.at + 1)
  else report(turn, 'refused', {reason: 'gateway_silent', detail})
}

// The change, with a way back that needs nobody.

function saved(turn: Turn, changes: readonly Change[], result: CommandResult): void {
  const {order} = turn.state
  const detail = `${fileOf(order)} in the guest: ${whyOf(result)}`
  if (result.code === 0) ask(turn, {kind: 'arming', changes}, {kind: 'start', argv: goBackLater(order)})
  else report(turn, 'refused', {reason: 'persist_failed', detail})
}

function armed(turn: Turn, changes: readonly Change[]): void {
  const lines = wayBack(changes).map((line) => `ip ${line}`)
  say(turn, `armed: it goes back by itself in ${goBackAfterS(turn.state.order)} s (${lines.join('; ')})`)
  apply(turn, changes, 0)
}

function apply(turn: Turn, changes: readonly Change[], at: number): void {
  const change = changes[at]
  if (change !== undefined) run(turn, {kind: 'applying', changes, at}, routeReplace(change.route, change.to))
  else {
    time(turn, 'appliedMs')
    readGateways(turn, {kind: 'prove'})
  }
}

function applied(turn: Turn, phase: GuestPhase & {kind: 'applying'}, result: CommandResult): void {
  if (result.code === 0) apply(turn, phase.changes, phase.at + 1)
  else goBack(turn, {reason: 'apply_failed', detail: whyOf(result)})
}

/** Whether the guest's routes are as ordered and a probe answers, for each family from `at` on. */
function prove(turn: Turn, used: GatewayPair, at: number): void {
  const {order} = turn.state
  const family = familiesOf(order)[at]
  if (family === undefined) proved(turn, used)
  else if (gatewayFor(used, family) === gatewayFor(order.to, family)) probe(turn, used, at, probesOf(order, family))
  else {
    const [want, is] = [gatewayFor(order.to, family), gatewayFor(used, family)]
    const detail = `read back: the guest sends to ${is ?? 'nobody'}, not to ${want}`
    goBack(turn, {reason: 'apply_failed', detail})
  }
}

/** Without a probe in its family there is nothing more to ask. */
function probe(turn: Turn, used: GatewayPair, at: number, probes: readonly (Ipv4 | Ipv6)[]): void {
  const [next] = probes
  if (next === undefined) prove(turn, used, at + 1)
  else run(turn, {kind: 'probing', used, at, probes}, ping(next))
}

/** One that answers is enough. */
function probed(turn: Turn, {used, at, probes}: GuestPhase & {kind: 'probing'}, {code}: CommandResult): void {
  if (code === 0) prove(turn, used, at + 1)
  else if (probes.length > 1) probe(turn, used, at, probes.slice(1))
  else {
    const {order} = turn.state
    const family = familiesOf(order)[at]!
    const detail = `nothing beyond ${gatewayFor(order.to, family)} answers (${probesOf(order, family).join(', ')})`
    goBack(turn, {reason: 'probe_failed', detail})
  }
}

function proved(turn: Turn, used: GatewayPair): void {
  const {order} = turn.state
  say(turn, `read back: uses ${gatewaysText(used)}`)
  if (order.confirmS > 0) report(turn, 'applied')
  else run(turn, {kind: 'disarming'}, takeSaved(order))
}

// Back: by the saved lines, or without them by the old gateways. `why` is undefined where that was asked for.

const goBack = (turn: Turn, why: Why | undefined): void =>
  run(turn, {kind: 'reading_saved', why}, readSaved(turn.state.order))

function savedRead(turn: Turn, why: Why | undefined, {code, stdout}: CommandResult): void {
  const lines = stdout.split('\n').filter((line) => line !== '')
  if (code === 0) runSaved(turn, lines, why)
  else readNewRoute(turn, 0, why)
}

function runSaved(turn: Turn, lines: readonly string[], why: Why | undefined): void {
  const [line] = lines
  if (line === undefined) run(turn, {kind: 'dropping_saved', why}, dropSaved(turn.state.order))
  else run(turn, {kind: 'running_saved', lines, why}, ipLine(line))
}

function readNewRoute(turn: Turn, at: number, why: Why | undefined): void {
  const family = familiesOf(turn.state.order)[at]
  if (family === undefined) wentBack(turn, why)
  else run(turn, {kind: 'reading_new_route', at, why}, routeShow(family))
}

function newRouteRead(turn: Turn, phase: GuestPhase & {kind: 'reading_new_route'}, {stdout}: CommandResult): void {
  const {order} = turn.state
  const {at, why} = phase
  const family = familiesOf(order)[at]!
  const from = gatewayFor(order.from, family)
  const route = readDefaultRoutes(stdout, family).find(({gateway}) => gateway === gatewayFor(order.to, family))
  if (from === null || route === undefined) readNewRoute(turn, at + 1, why)
  else run(turn, {kind: 'writing_old_gateway', at, why}, routeReplace(route, from))
}

function wentBack(turn: Turn, why: Why | undefined): void {
  if (why) report(turn, 'rolled_back', why)
  else readGateways(turn, {kind: 'roll_back'})
}

// The gateways in use, and what follows from them.

function readGateways(turn: Turn, purpose: Purpose, used: GatewayPair = NONE, at = 0): void {
  const family = familiesOf(turn.state.order)[at]
  if (family === undefined) gatewaysRead(turn, used, purpose)
  else run(turn, {kind: 'reading_gateways', used, at, purpose}, routeGet(family))
}

function gatewayRead(turn: Turn, phase: GuestPhase & {kind: 'reading_gateways'}, {stdout}: CommandResult): void {
  const {used, at, purpose} = phase
  const gateway = gatewayOf(stdout) ?? null
  const family = familiesOf(turn.state.order)[at]
  readGateways(turn, purpose, family === 4 ? {...used, v4: gateway} : {...used, v6: gateway}, at + 1)
}

function gatewaysRead(turn: Turn, used: GatewayPair, purpose: Purpose): void {
  const {order} = turn.state
  const uses = (family: Family): boolean => gatewayFor(used, family) === gatewayFor(order.to, family)
  if (purpose.kind === 'prove') prove(turn, used, 0)
  else if (purpose.kind === 'confirm') confirmed(turn, purpose.disarmed && familiesOf(order).every(uses))
  else if (purpose.kind === 'roll_back') rolledBack(turn, !familiesOf(order).some(uses))
  else {
    const {state, why} = purpose
    const {reason = null, detail = null} = why ?? {}
    done(turn, {...UNKNOWN, state, reason, detail, gateways: used, attempts: turn.state.commands})
  }
}

function confirmed(turn: Turn, holds: boolean): void {
  if (holds) {
    time(turn, 'confirmedMs')
    say(turn, 'confirmed: it does not go back any more')
    report(turn, 'confirmed')
  } else {
    const detail = 'the guest had gone back by itself when the confirmation came'
    report(turn, 'rolled_back', {reason: 'not_confirmed', detail})
  }
}

function rolledBack(turn: Turn, left: boolean): void {
  if (left) report(turn, 'rolled_back', {reason: 'requested', detail: 'asked for'})
  else report(turn, 'applied', {reason: 'apply_failed', detail: 'the guest still sends to the new gateway'})
}
