// `gwswitch switch` of several VMs, between its flags and its terminal: what is known before is shown before, how far it is
// meanwhile, and a row a VM at the end.
import type {Inventory} from '../domain/inventory/site.ts'
import type {AuditEvent} from '../net/file/audit-log.ts'
import {neighbourRoom} from '../net/neighbour-room.ts'
import type {Guard} from '../net/process/dead-man.ts'
import {sayJson} from '../net/process/say.ts'
import {sharedWorld} from '../net/shared-world.ts'
import type {World} from '../net/world.ts'
import {gatheredRun} from '../orders/journal/gathered-run.ts'
import type {JournalFile} from '../orders/journal/journal-file.ts'
import {resumption} from '../orders/journal/resume.ts'
import {begunOf, type SwitchManyDocument} from '../orders/switch/many-rows.ts'
import {dryRunText, manyText, meterText, preflightText, progressDocument, roomText} from '../orders/switch/many-text.ts'
import {type ManyOrder, type ManyParts, performMany, plannedMany, preflightMany} from '../orders/switch/run-many.ts'
import {asJson, performSwitch} from '../orders/switch/run-switch.ts'
import {endedEvent, orderedEvent} from '../orders/switch/switch-audit.ts'
import type {Registered} from '../strategies/registry.ts'

export interface ManyRequest {
  /** An order, or the run of which the rest is to be done. */
  readonly what: ManyOrder | string
  /** The command line, as the journal keeps it. */
  readonly asked: string
  readonly inventory: Inventory
  readonly installed: ReadonlyMap<string, Registered>
  readonly world: World
  readonly concurrency: number
  readonly rate?: number | undefined
  readonly audit?: string | undefined
  /** Rolls back what is under way if this process dies; undefined: a dry run. */
  readonly guard: Guard | undefined
  /** How long a switch may be under way before the guard takes it back, ms. */
  readonly guardMs: number
  /** Undefined where none is kept. */
  readonly journal: JournalFile | undefined
}

/** The command, as this sees it. */
export interface ManyTerminal {
  readonly json: boolean
  /** Ctrl-C: nothing more is begun. */
  readonly signal: AbortSignal
  stopCode(): number | undefined
  log(line: string): void
  meter(text: string): void
  caution(line: string): void
  /** Into the record that was asked for, if one was. */
  audit(events: readonly AuditEvent[]): Promise<void>
}

/** Text goes to the terminal as it is known; with --json progress is a document a line on standard error. */
export async function switchMany(request: ManyRequest, terminal: ManyTerminal): Promise<SwitchManyDocument> {
  const {what, asked, inventory, installed, concurrency, rate, guard, journal} = request
  const resumed = typeof what === 'string' ? resumption(journal!, what) : undefined
  const order = typeof what === 'string' ? resumed!.order : what
  await using shared = sharedWorld(request.world)
  const {world} = shared
  const preflight = await preflightMany(order, inventory, installed, world)
  const show = (lines: () => readonly string[]): void => {
    if (!terminal.json) for (const line of lines()) terminal.log(line)
  }
  if (guard === undefined) {
    show(() => dryRunText(preflight))
    return plannedMany(preflight)
  }
  show(() => [...preflightText(preflight), ''])
  for (const line of roomText(preflight, neighbourRoom())) terminal.caution(line)
  const {names: _names, ...options} = order
  const run = journal?.begin({by: resumed ? 'resume' : 'switch', asked, options: asJson(options)})
  const one = performer(order, guard, world, request, terminal)
  const document = await performMany(preflight, world, {
    ...{concurrency, rate, stop: terminal.signal, stopped: () => terminal.stopCode()},
    ...(run && {journal: gatheredRun(run)}),
    perform: one,
    onProgress: (progress) =>
      terminal.json ? sayJson(progressDocument(progress)) : terminal.meter(meterText(progress)),
  })
  terminal.meter('')
  if (document.run !== null) resumed?.endedBy(document.run, begunOf(document))
  show(() => manyText(document))
  return document
}

/** Switches one. What is under way when it is stopped goes on to its end: no signal reaches it. */
function performer(
  {acceptUnverified, guardMs: holdMs, arrivalMs = 0}: ManyOrder,
  guard: Guard,
  world: World,
  {audit, guardMs}: ManyRequest,
  terminal: ManyTerminal,
): ManyParts['perform'] {
  const said = new Set<string>()
  const onTrouble = ({message}: Error): void => {
    if (said.size < said.add(message).size) terminal.caution(message)
  }
  return async (prepared, journal) => {
    await terminal.audit([orderedEvent(prepared)])
    const document = await performSwitch(prepared, world, {
      ...{acceptUnverified, audit, hold: holdMs !== undefined},
      ...{signal: new AbortController().signal, deadMan: guard.deadMan(guardMs + arrivalMs)},
      ...(journal && {journal: {...journal, onTrouble}}),
    })
    await terminal.audit([endedEvent(document)])
    return document
  }
}
