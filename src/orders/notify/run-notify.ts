// From the command line to the document: what `gwswitch notify-agent` does between its flags and its words.

import type {Inventory} from '../../domain/inventory/site.ts'
import type {World} from '../../net/world.ts'
import {newRun} from '../../strategies/agent/conversation.ts'
import {openConversation} from '../../strategies/agent/transports.ts'
import {notifyAll} from './notify.ts'
import {type NotifyDocument, notifyDocument, plannedDocument} from './notify-report.ts'
import {type NotifyOrder, readNotices} from './notify-request.ts'

export interface NotifyRunStage {
  readonly world: World
  readonly signal: AbortSignal
  readonly dryRun: boolean
  /** VMs begun per second. */
  readonly rate: number
  progress?(done: number, all: number): void
  onEvent?(vm: string, text: string): void
  /** The exit code that goes with the signal that ended it; undefined if none did. */
  stopped?(): number | undefined
}

/** @throws Failure `usage` before anything is sent; what happens to a VM is in its row. */
export async function runNotify(
  flags: NotifyOrder,
  inventory: Inventory | undefined,
  run: NotifyRunStage,
): Promise<NotifyDocument> {
  const name = newRun(run.world)
  const notices = readNotices(flags, inventory, name)
  if (run.dryRun) return plannedDocument(name, notices)
  const rows = await notifyAll(notices, run.rate, {...run, open: openConversation})
  const [only, ...others] = rows
  // One VM: what could not be tried is an error of the command. Of many, each has its own row.
  const {kind} = only?.failure ?? {}
  const stopped = run.stopped?.()
  if (stopped === undefined && others.length === 0 && (kind === 'runtime' || kind === 'usage' || kind === 'privilege'))
    throw only!.failure
  return notifyDocument(name, rows, stopped)
}
