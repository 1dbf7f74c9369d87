// `gwswitch watch` between what tells of movements and what is said of them: ports of this host, or events on standard input.
import {allGateways, type Inventory} from '../domain/inventory/site.ts'
import {type EventKind, eventReader} from '../domain/movement/events.ts'
import type {Movement} from '../domain/movement/movement.ts'
import type {WatchEvent, WatchSummary} from '../domain/movement/watch-event.ts'
import {print, printJson, say} from '../net/process/say.ts'
import {connectUnix, onLines, type UnixSocket} from '../net/stream/unix-socket.ts'
import type {World} from '../net/world.ts'
import {expectWatchable, type WatchTeller, watchTeller} from '../orders/watch/watch.ts'
import {paintWith} from '../render/paint.ts'
import {summaryText, watchText} from '../render/watch-text.ts'
import {watchArrivals} from '../services/site/arrivals.ts'
import type {Registered} from '../strategies/registry.ts'

/** The command line, as typed. */
export interface WatchCommand {
  readonly site: string | undefined
  readonly ports: readonly string[]
  readonly forS: number | undefined
  readonly from: EventKind | undefined
  readonly tell: string | undefined
}

export interface WatchTerminal {
  readonly world: World
  readonly signal: AbortSignal
  readonly strategies: ReadonlyMap<string, Registered>
  readonly json: boolean
  readonly colour: boolean
  caution(line: string): void
}

/** Longer lines are no event of anybody's, bytes. */
const LINE_LIMIT = 4 << 20

/** Until it is stopped, its time is over, or standard input ends. @throws as what it listens to. */
export async function watchAtTerminal(
  command: WatchCommand,
  inventory: Inventory | undefined,
  terminal: WatchTerminal,
): Promise<WatchSummary> {
  const {world, strategies, json, caution} = terminal
  expectWatchable({site: command.site, inventory})
  const site = command.site ?? (await siteHere(inventory, world))
  const paint = paintWith(terminal.colour)
  const teller = watchTeller(
    {site, inventory},
    {
      ...{world, strategies},
      onEvent: (event: WatchEvent) => {
        if (json) printJson(event)
        else for (const line of watchText(event, paint)) print(line)
      },
    },
  )
  await using open = new AsyncDisposableStack()
  const told = command.tell === undefined ? undefined : open.use(await toldAt(command.tell, caution))
  const onMovement = (movement: Movement): void => {
    told?.tell(movement)
    teller.moved(movement)
  }
  const time = command.forS === undefined ? [] : [AbortSignal.timeout(command.forS * 1000)]
  const end = AbortSignal.any([terminal.signal, ...time])
  if (command.from === undefined) {
    const request = {ports: command.ports, site, inventory, strangers: true}
    const log = (line: string): void => (json ? undefined : say(line))
    const arrivals = open.use(await watchArrivals(request, {world, log, onDispute: teller.disputed}, onMovement))
    if (arrivals.ports().length === 0) log(`no port here yet: waiting for ${command.ports.join(' ') || 'one of a VM'}`)
    await ended(end)
  } else await readEvents(command.from, end, onMovement)
  return summed(teller, json)
}

async function summed(teller: WatchTeller, json: boolean): Promise<WatchSummary> {
  const summary = await teller.end()
  if (json) printJson(summary)
  else for (const line of summaryText(summary)) print(line)
  return summary
}

const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), {once: true})
  })

/** The site of the gateways that are on this machine; undefined: none is, or several sites' are. */
async function siteHere(inventory: Inventory | undefined, world: World): Promise<string | undefined> {
  const macs = new Set((await world.interfaces()).map(({mac}) => mac))
  const found = inventory ? allGateways(inventory).filter(({mac}) => macs.has(mac)) : []
  const sites = new Set(found.map(({site}) => site))
  return sites.size === 1 ? [...sites][0] : undefined
}

function readEvents(kind: EventKind, signal: AbortSignal, onMovement: (movement: Movement) => void): Promise<void> {
  const read = eventReader(kind)
  const {stdin} = process
  const done = new Promise<void>((resolve) => {
    stdin.once('end', resolve)
    stdin.once('close', resolve)
    stdin.once('error', () => resolve())
    signal.addEventListener('abort', () => resolve(), {once: true})
  })
  onLines(stdin, (line) => read(line.toString()).forEach(onMovement), LINE_LIMIT)
  return done.finally(() => stdin.destroy())
}

/** How long the last answers are waited for. */
const LAST_ANSWERS_MS = 1000

/** What a control socket takes as one word. */
const WORD = /^[\x21-\x7e]{1,200}$/

/**
 * Passes movements on to the resident service. One that is not taken is said, and costs no other.
 * @throws Failure `silent` if nobody listens there now.
 */
async function toldAt(path: string, caution: (line: string) => void) {
  const what = 'gwswitch serve site'
  const connect = async (): Promise<UnixSocket> => {
    const socket = await connectUnix(path, what)
    socket.on('error', () => socket.destroy())
    onLines(socket, (line) => heed(line, caution))
    return socket
  }
  let socket = await connect()
  let turn = Promise.resolve()
  return {
    tell({kind, mac, vm, port}: Movement): void {
      const words = [kind, mac ?? vm ?? '', ...(kind === 'arrived' && port !== null ? [port] : [])]
      if (!words.every((word) => WORD.test(word))) {
        caution(`not passed on: ${JSON.stringify(vm)} is no word`)
        return
      }
      turn = turn.then(async () => {
        try {
          if (socket.destroyed) socket = await connect()
          socket.write(`${words.join(' ')}\n`)
        } catch (error) {
          caution(`not passed on: ${words.join(' ')}: ${(error as Error).message}`)
        }
      })
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await turn
      // The last answers are heard: what was not taken is said.
      const late = setTimeout(() => socket.destroy(), LAST_ANSWERS_MS)
      const closed = socket.destroyed || new Promise((resolve) => socket.once('close', resolve))
      socket.end()
      await closed
      clearTimeout(late)
    },
  }
}

/** An answer that is no yes. */
function heed(line: Buffer, caution: (line: string) => void): void {
  try {
    const {ok, error, said} = JSON.parse(line.toString())
    if (ok === false) caution(`the service says: ${error?.message ?? said}`)
  } catch {
    caution('the service answers what is no JSON')
  }
}
