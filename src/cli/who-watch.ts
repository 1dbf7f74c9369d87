// `gwswitch who --watch` on a terminal: a table that is drawn over and over, or a line a look.
import type {Inventory} from '../domain/inventory/inventory.ts'
import type {WhoWatchLine, WhoWatchState} from '../domain/who-watch.ts'
import {print, printJson} from '../net/process/say.ts'
import {canRedraw} from '../net/process/terminal.ts'
import type {World} from '../net/world.ts'
import type {WhoOrder} from '../probe/who-questions.ts'

export interface WhoTerminal {
  readonly json: boolean
  readonly colour: boolean
  readonly signal: AbortSignal
  readonly world: World
}

/** @returns the exit code of the last look. */
export async function whoWatch(
  order: WhoOrder,
  inventory: Inventory,
  everyMs: number,
  {json, colour, signal, world}: WhoTerminal,
): Promise<number> {
  const [{watchWho}, {whoLineText, whoScreen}, {openLiveScreen}] = await Promise.all([
    import('../orders/who/watch-who.ts'),
    import('../render/who-screen.ts'),
    import('./live-screen.ts'),
  ])
  const began = performance.now()
  const screen = canRedraw(process.stdout, process.env) && !json ? openLiveScreen(process.stdout) : undefined
  const onLook = (state: WhoWatchState, line: WhoWatchLine): void => {
    const {rows = 24} = process.stdout
    if (screen) screen.draw(whoScreen(state, {colour, rows, elapsedMs: performance.now() - began}))
    else if (json) printJson(line)
    else for (const text of whoLineText(line, colour)) print(text)
  }
  try {
    return (await watchWho(order, inventory, {world, signal, everyMs, onLook})).exitCode
  } finally {
    screen?.close()
  }
}
