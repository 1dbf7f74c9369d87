// The door to the outside for many switches at once: what they all ask of this host is asked once, and they share links.
import {setTimeout as delay} from 'node:timers/promises'
import type {NeighbourTables} from './neighbour-tables.ts'
import {sharedLinks} from './packet/shared-links.ts'
import type {SpeakerWorld, World} from './world.ts'

export interface SharedWorld extends AsyncDisposable {
  readonly world: World
}

/** The same world for as long as it is not disposed of; nothing of it is used after. */
export function sharedWorld(world: World): SharedWorld {
  const joint = jointQuestions()
  const links = sharedLinks((name, options) => world.openLink(name, options))
  /** A question of this host with its arguments. */
  const once =
    <A extends unknown[], T>(name: string, ask: (...args: A) => Promise<T>) =>
    (...args: A): Promise<T> =>
      joint(JSON.stringify([name, ...args]), () => ask(...args))
  const tables = oneForAll()
  const {kept, forget} = untilLinksChange(world, once)
  const {bridgeOf, learned, hostLinks, nftTables, nftTable, forwards, speaker} = world
  return {
    world: {
      ...world,
      joint,
      openLink: links.openLink,
      interfaces: once('interfaces', world.interfaces),
      routeTo: once('routeTo', world.routeTo),
      resolveNeighbour: once('resolveNeighbour', world.resolveNeighbour),
      ...(bridgeOf && {bridgeOf: kept('bridgeOf', bridgeOf)}),
      ...(learned && {learned: once('learned', learned)}),
      ...(hostLinks && {hostLinks: kept('hostLinks', hostLinks)}),
      ...(nftTables && {nftTables: once('nftTables', nftTables)}),
      ...(nftTable && {nftTable: once('nftTable', nftTable)}),
      ...(forwards && {forwards: once('forwards', forwards)}),
      ...(speaker && {speaker: async () => sharedSpeaker(await speaker(), once, kept, tables)}),
    },
    async [Symbol.asyncDispose]() {
      tables.close()
      await forget()
      await links.close()
    },
  }
}

type Once = <A extends unknown[], T>(name: string, ask: (...args: A) => Promise<T>) => (...args: A) => Promise<T>

const sharedSpeaker = (
  {vantage, tables}: SpeakerWorld,
  once: Once,
  kept: Once,
  all: ReturnType<typeof oneForAll>,
): SpeakerWorld => ({
  vantage: {...vantage, links: kept('vantage.links', vantage.links), learned: once('vantage.learned', vantage.learned)},
  tables: () => all.of(tables),
})

/** What the kernel tells of when it changes is asked once, and again after that. */
function untilLinksChange(world: World, once: Once): {readonly kept: Once; forget(): Promise<void>} {
  const {linkChanges} = world
  const answers = new Map<string, Promise<unknown>>()
  let watching: Promise<{close(): Promise<void>}> | undefined
  const kept: Once = (name, ask) => {
    const asked = once(name, ask)
    if (linkChanges === undefined) return asked
    return async (...args) => {
      watching ??= linkChanges(() => answers.clear())
      await watching
      const question = JSON.stringify([name, ...args])
      const known = answers.get(question)
      if (known !== undefined) return known as ReturnType<typeof ask>
      const answer = asked(...args)
      answers.set(question, answer)
      answer.catch(() => answers.delete(question))
      return answer
    }
  }
  return {kept, forget: async () => (await watching?.catch(() => undefined))?.close()}
}

/** This host's tables, opened once; whoever has done with them leaves them open for the others. */
function oneForAll() {
  let opened: NeighbourTables | undefined
  return {
    of(open: () => NeighbourTables): NeighbourTables {
      opened ??= open()
      return {...opened, close: () => {}}
    },
    close: () => opened?.close(),
  }
}

/** From one answer to the next question of the same, ms: so long those who want to know come together. */
const GATHER_MS = 25

interface Turn {
  begun: boolean
  answer: Promise<unknown>
}

/** One question of a kind at a time: who comes while it is asked waits for the next, and has that in common with all others. */
function jointQuestions(): NonNullable<World['joint']> {
  const turns = new Map<string, Turn>()
  return <T>(question: string, ask: () => Promise<T>): Promise<T> => {
    const last = turns.get(question)
    if (last !== undefined && !last.begun) return last.answer as Promise<T>
    const mine: Turn = {begun: false, answer: Promise.resolve()}
    const asked = async (): Promise<T> => {
      await last?.answer.catch(() => {})
      await delay(last === undefined ? 0 : GATHER_MS)
      mine.begun = true
      try {
        return await ask()
      } finally {
        if (turns.get(question) === mine) turns.delete(question)
      }
    }
    const answer = asked()
    mine.answer = answer
    turns.set(question, mine)
    return answer
  }
}
