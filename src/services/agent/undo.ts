// Puts the old gateway back, however long that takes: an interface may be down, or another program be at work.
import type {RouteChange} from '../../domain/agent/memory.ts'
import type {AgentKernel} from './kernel.ts'
import {drains, endDrain, undo} from './routes.ts'

export interface Undone {
  /** What is not as it was; undefined if everything is. */
  readonly trouble: string | undefined
  /** Interfaces that are no more. Their routes went with them: there is nothing to put back, and nothing to put it on. */
  readonly gone: readonly string[]
}

/** One attempt at all of it: what fails keeps nothing else from being undone. */
export async function undoChanges(kernel: AgentKernel, changes: readonly RouteChange[]): Promise<Undone> {
  const troubles: string[] = []
  const gone = new Set<string>()
  for (const change of changes) {
    const trouble = await troubleOf(() => undo(kernel, [withoutDrain(change)]))
    if (trouble === undefined) continue
    if (isThere(kernel, change)) {
      troubles.push(`IPv${change.family} gateway ${change.from} on ${change.interfaceName}: ${trouble}`)
      continue
    }
    gone.add(change.interfaceName)
    const left = change.overlay && (await troubleOf(() => undo(kernel, [withoutOverlay(change)])))
    if (left !== undefined) troubles.push(`IPv${change.family} rules: ${left}`)
  }
  const trouble = await troubleOf(async () => {
    // One that was not over when the switch began is still there, if the switch did not come far.
    if (changes.some(({mode}) => mode === 'drain') || drains(kernel)) await endDrain(kernel)
  })
  if (trouble !== undefined) troubles.push(`drain: ${trouble}`)
  return {trouble: troubles.length === 0 ? undefined : troubles.join('; '), gone: [...gone]}
}

/** Both families drain, or none does: the drain ends when the gateways of both are back, also if one cannot be. */
const withoutDrain = (change: RouteChange): RouteChange =>
  change.mode === 'drain' ? {...change, mode: 'rule'} : change

const withoutOverlay = (change: RouteChange): RouteChange => ({
  ...withoutDrain(change),
  ...(change.overlay && {overlay: {...change.overlay, before: null, after: null}}),
})

async function troubleOf(act: () => Promise<void>): Promise<string | undefined> {
  try {
    await act()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function isThere(kernel: AgentKernel, {interfaceIndex}: RouteChange): boolean {
  try {
    return kernel.links().some(({index}) => index === interfaceIndex)
  } catch {
    // Not known: it is tried again.
    return true
  }
}
