// The agent's memory on disk: one JSON file, always whole.
import {join} from 'node:path'
import {type AgentMemory, EMPTY_MEMORY} from '../../domain/agent/memory.ts'
import {Failure} from '../../errors.ts'
import type {AgentKernel} from './kernel.ts'

export interface AgentStore {
  readonly memory: AgentMemory
  /** On disk when it returns. @throws Failure `runtime`; the memory is then as before. */
  save(memory: AgentMemory): void
  /** The same where the disk is not decisive: what it does not take is kept in memory at least. Returns the error. */
  keep(memory: AgentMemory): Error | undefined
  /**
   * Makes the file if there is none, so that a directory in which it cannot be made is noticed before it is needed.
   * Returns the error where that may pass, as on a full disk. @throws Failure `privilege`
   */
  make(): Error | undefined
}

const stateFile = (directory: string): string => join(directory, 'agent-state.json')

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

/** @throws Failure `privilege` or `runtime` for a file that is there and cannot be read or understood. */
export function openStore(directory: string, kernel: Pick<AgentKernel, 'read' | 'writeDurably'>): AgentStore {
  const path = stateFile(directory)
  const text = asItsUser(() => kernel.read(path))
  let memory = readMemory(text, path)
  let there = text !== undefined
  const save = (next: AgentMemory): void => {
    asItsUser(() => kernel.writeDurably(path, `${JSON.stringify(next)}\n`))
    memory = next
    there = true
  }
  const keep = (next: AgentMemory): Error | undefined => {
    try {
      save(next)
    } catch (error) {
      memory = next
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

/** The state is its user's alone: who is somebody else is told what to do. */
function asItsUser<T>(touch: () => T): T {
  try {
    return touch()
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'privilege') throw error
    throw new Failure('privilege', `${error.message}: run this as root, or as the user that the agent runs as`)
  }
}
