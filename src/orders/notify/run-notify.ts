// From the command line to the document: what `gwswitch notify-agent` does between its flags and its words.

import {findSegment, type Inventory} from '../../domain/inventory/site.ts'
import {Failure} from '../../errors.ts'
import {interfaceIn} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {newRun} from '../../strategies/agent/conversation.ts'
import {openConversation} from '../../strategies/agent/transports.ts'
import {sceneAround} from '../../strategies/bystander.ts'
import {legsOf} from '../../strategies/choose-interface.ts'
import {subjectOf} from '../../strategies/scene.ts'
import {ifPossible, proveServed} from '../../strategies/standing.ts'
import {notifyAll, type OwnLook} from './notify.ts'
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
  const look = inventory && (await ownLook(inventory, flags.interfaceName, run.world))
  const rows = await notifyAll(notices, run.rate, {...run, open: openConversation, look})
  const [only, ...others] = rows
  // One VM: what could not be tried is an error of the command. Of many, each has its own row.
  const {kind} = only?.failure ?? {}
  const stopped = run.stopped?.()
  if (stopped === undefined && others.length === 0 && (kind === 'runtime' || kind === 'usage' || kind === 'privilege'))
    throw only!.failure
  return notifyDocument(name, rows, stopped)
}

/** How long the VM is asked where it sends, ms: well within the time in which it waits for its confirmation. */
const LOOK_MS = 1500

/**
 * The same look as `switch` has, through the interface that is named, or the gateway's own leg.
 * @throws Failure `runtime` for an interface that is not there.
 */
async function ownLook(inventory: Inventory, interfaceName: string | undefined, world: World): Promise<OwnLook> {
  const interfaces = await world.interfaces()
  const named = interfaceName === undefined ? undefined : interfaceIn(interfaces, interfaceName)
  return async ({about, order}, stage) => {
    const segment = about && findSegment(inventory, about.vm.segment)
    const via = named ?? (about && segment && legsOf(interfaces, about.to.mac, segment)[0])
    if (!about || !via?.carrier) return undefined
    const families = [...(order.to.v4 === null ? [] : [4 as const]), ...(order.to.v6 === null ? [] : [6 as const])]
    const scene = await sceneAround(inventory, {...about, via, families, keepsSessions: order.mode === 'drain'}, world)
    if (subjectOf(scene).sees === 'none') return undefined
    const seen = await ifPossible(() => proveServed(scene, stage, {listenMs: 0, waitMs: LOOK_MS}))
    // Where the interface went down meanwhile, the VM's own word is all there is.
    return seen instanceof Failure ? {ok: false, code: 'unverified', uses: null, evidence: [seen.message]} : seen
  }
}
