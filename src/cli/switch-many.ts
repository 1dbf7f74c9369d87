// `gwswitch switch` of several VMs, between its flags and its terminal: what is known before is shown before, how far it is
// meanwhile, and a row a VM at the end.
import type {Inventory} from '../domain/inventory/site.ts'
import type {AuditEvent} from '../net/file/audit-log.ts'
import type {Guard} from '../net/process/dead-man.ts'
import {sayJson} from '../net/process/say.ts'
import {sharedWorld} from '../net/shared-world.ts'
import type {World} from '../net/world.ts'
import type {SwitchManyDocument} from '../orders/switch/many-rows.ts'
import {dryRunText, manyText, meterText, preflightText, progressDocument} from '../orders/switch/many-text.ts'
import {type ManyOrder, performMany, plannedMany, preflightMany} from '../orders/switch/run-many.ts'
import {type PerformOptions, type Prepared, performSwitch} from '../orders/switch/run-switch.ts'
import {endedEvent, orderedEvent} from '../orders/switch/switch-audit.ts'
import type {Registered} from '../strategies/registry.ts'

export interface ManyRequest {
  readonly order: ManyOrder
  readonly inventory: Inventory
  readonly installed: ReadonlyMap<string, Registered>
  readonly world: World
  readonly concurrency: number
  readonly rate?: number | undefined
  /** Rolls back what is under way if this process dies; undefined: a dry run. */
  readonly guard: Guard | undefined
  /** How long a switch may be under way before the guard takes it back, ms. */
  readonly guardMs: number
  readonly perform: Pick<PerformOptions, 'acceptUnverified' | 'audit' | 'hold'>
}

/** The command, as this sees it. */
export interface ManyTerminal {
  readonly json: boolean
  /** Ctrl-C: nothing more is begun. */
  readonly signal: AbortSignal
  stopCode(): number | undefined
  log(line: string): void
  meter(text: string): void
  /** Into the record that was asked for, if one was. */
  audit(events: readonly AuditEvent[]): Promise<void>
}

/** Text goes to the terminal as it is known; with --json progress is a document a line on standard error. */
export async function switchMany(request: ManyRequest, terminal: ManyTerminal): Promise<SwitchManyDocument> {
  const {order, inventory, installed, concurrency, rate, guard} = request
  await using shared = sharedWorld(request.world)
  const {world} = shared
  const preflight = await preflightMany(order, inventory, installed, world)
  const show = (lines: readonly string[]): void => {
    if (!terminal.json) for (const line of lines) terminal.log(line)
  }
  if (guard === undefined) {
    show(dryRunText(preflight))
    return plannedMany(preflight)
  }
  show([...preflightText(preflight), ''])
  const document = await performMany(preflight, world, {
    ...{concurrency, rate, stop: terminal.signal, stopped: () => terminal.stopCode()},
    perform: (prepared) => performOne(prepared, world, guard, request, terminal),
    onProgress: (progress) =>
      terminal.json ? sayJson(progressDocument(progress)) : terminal.meter(meterText(progress)),
  })
  terminal.meter('')
  show(manyText(document))
  return document
}

/** What is under way when it is stopped goes on to its end: no signal reaches it. */
async function performOne(
  prepared: Prepared,
  world: World,
  guard: Guard,
  {guardMs, perform}: ManyRequest,
  {audit}: ManyTerminal,
) {
  await audit([orderedEvent(prepared)])
  const options = {...perform, signal: new AbortController().signal, deadMan: guard.deadMan(guardMs)}
  const document = await performSwitch(prepared, world, options)
  await audit([endedEvent(document)])
  return document
}
