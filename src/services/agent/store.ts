// The agent's memory on disk: one JSON file, always whole. And what the disk did not take, in the folder of the agent's socket,
// which is another file system (/run) and as old as the VM's boot: an agent that comes after a kill is not to find that a
// switch stands which has been taken back since.
import {dirname, join} from 'node:path'
import type {AgentConfig} from '../../domain/agent/config.ts'
import {type AgentMemory, EMPTY_MEMORY} from '../../domain/agent/memory.ts'
import {Failure} from '../../errors.ts'
import type {AgentKernel} from './kernel.ts'

export interface AgentStore {
  readonly memory: AgentMemory
  /** On disk when it returns. @throws Failure `runtime`; the memory is then as before. */
  save(memory: AgentMemory): void
  /** The same where the disk is not decisive: what it does not take is kept beside the socket, or in memory at least. Returns the error. */
  keep(memory: AgentMemory): Error | undefined
  /**
   * Makes the file if there is none, so that a directory in which it cannot be made is noticed before it is needed.
   * Returns the error where that may pass, as on a full disk. @throws Failure `privilege`
   */
  make(): Error | undefined
}

const FILE = 'agent-state.json'
type Place = Pick<AgentConfig, 'state'> & Partial<Pick<AgentConfig, 'socket'>>

/** As far as it must be right for an agent to start; what is in it was written by an agent. */
function isMemory(value: unknown): value is AgentMemory {
  const {version, keys, answered} = (value ?? {}) as Partial<Record<keyof AgentMemory, unknown>>
  const kept =
    typeof keys === 'object' && keys !== null ? Object.values(keys as Record<string, {seq?: unknown} | null>) : [null]
  return version === 1 && Array.isArray(answered) && kept.every((each) => Number.isSafeInteger(each?.seq))
}

/** @throws Failure `runtime` for a file that cannot be understood: without it, old commands could be obeyed again. */
function readMemory(text: string | undefined, path: string): AgentMemory {
  if (text === undefined) return EMPTY_MEMORY
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (!isMemory(value)) {
    throw new Failure(
      'runtime',
      `${path}: is no state of this agent; move it away only if no command may still be valid`,
    )
  }
  return value
}

type Files = Pick<AgentKernel, 'read' | 'readOurs' | 'writeDurably'>

/** What the disk did not take; of a state that is not there any more there is none. */
function readBeside(path: string, kernel: Files): AgentMemory | undefined {
  try {
    const value: unknown = JSON.parse(kernel.readOurs(path) ?? 'null')
    return isMemory(value) ? value : undefined
  } catch {
    return undefined
  }
}

const revisionOf = ({revision = 0}: AgentMemory): number => revision

/** @throws Failure `privilege` or `runtime` for a file that is there and cannot be read or understood. */
export function openStore({state, socket}: Place, kernel: Files): AgentStore {
  const path = join(state, FILE)
  const beside = socket === undefined || dirname(socket) === state ? undefined : join(dirname(socket), FILE)
  const text = asItsUser(() => kernel.read(path))
  let memory = readMemory(text, path)
  const copy = beside === undefined ? undefined : readBeside(beside, kernel)
  if (copy !== undefined && revisionOf(copy) > revisionOf(memory))
    // Of a file that somebody has taken away the copy is no later word; what is written next is newer than it.
    memory = text === undefined ? {...memory, revision: revisionOf(copy)} : copy
  let there = text !== undefined
  const save = (next: AgentMemory): void => {
    const stamped = {...next, revision: revisionOf(memory) + 1}
    asItsUser(() => kernel.writeDurably(path, `${JSON.stringify(stamped)}\n`))
    memory = stamped
    there = true
  }
  const keep = (next: AgentMemory): Error | undefined => {
    try {
      save(next)
    } catch (error) {
      memory = {...next, revision: revisionOf(memory) + 1}
      if (beside !== undefined) attempt(() => kernel.writeDurably(beside, `${JSON.stringify(memory)}\n`))
      return error as Error
    }
  }
  return {
    get memory() {
      return memory
    },
    save,
    keep,
    make() {
      const error = there ? undefined : keep(memory)
      if (error instanceof Failure && error.kind === 'privilege') throw error
      return error
    },
  }
}

/** Where that has no room either, memory has it. */
function attempt(write: () => void): void {
  try {
    write()
  } catch {}
}

/** The state is its user's alone: who is somebody else is told what to do. */
function asItsUser<T>(touch: () => T): T {
  try {
    return touch()
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'privilege') throw error
    throw new Failure('privilege', `${error.message}: run this as root, or as the user that the agent runs as`)
  }
}
