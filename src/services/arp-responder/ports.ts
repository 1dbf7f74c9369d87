// Which ports are served: those that are meant, as they come and go.
import type {InterfaceFacts} from '../../net/ip.ts'

/** Whether a name is meant: `*` and `?` as in glob(7). */
export function isMeant(pattern: string, name: string): boolean {
  const parts = [...pattern].map((each) => (each === '*' ? '.*' : each === '?' ? '.' : each.replace(/\W/, '\\$&')))
  return new RegExp(`^${parts.join('')}$`).test(name)
}

/** The ports that are meant and can carry frames now. */
export const readyPorts = (patterns: readonly string[], all: readonly InterfaceFacts[]): readonly InterfaceFacts[] =>
  all.filter(
    ({name, ethernet, up, carrier}) => ethernet && up && carrier && patterns.some((each) => isMeant(each, name)),
  )

/** What has to be done: ports by their names, `served` with the index of the interface that is served. */
export interface PortChanges {
  readonly close: readonly string[]
  readonly open: readonly InterfaceFacts[]
}

/** An interface that was made anew has the old name and another index. */
export function portChanges(served: ReadonlyMap<string, number>, ready: readonly InterfaceFacts[]): PortChanges {
  const stays = ({name, index}: InterfaceFacts): boolean => served.get(name) === index
  const kept = new Set(ready.filter(stays).map(({name}) => name))
  return {close: [...served.keys()].filter((name) => !kept.has(name)), open: ready.filter((each) => !stays(each))}
}
