// VMs that one process plays on a wire, each with a neighbour entry of its own: some are off, or do not do as they are told.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import type {Played} from './played-vms-main.ts'

export interface PlayedVms {
  /** The MAC that each has for its gateway now, in their order. */
  gateways(): Promise<readonly string[]>
}

/** Plays them at an interface of a namespace for as long as `fn` runs. */
export async function withPlayedVms<T>(
  namespace: string,
  played: Played,
  fn: (vms: PlayedVms) => Promise<T>,
): Promise<T> {
  const main = join(import.meta.dirname, 'played-vms-main.ts')
  const [program = '', ...args] = namespaceCommand(namespace, [process.execPath, main])
  const child = spawn(program, args, {stdio: ['pipe', 'pipe', 'inherit']})
  const lines = createInterface({input: child.stdout})[Symbol.asyncIterator]()
  const ask = async (line: string): Promise<string> => {
    child.stdin.write(`${line}\n`)
    return (await lines.next()).value ?? ''
  }
  try {
    if ((await ask(JSON.stringify(played))) !== 'ready') throw new Error('nobody plays the VMs')
    return await fn({gateways: async () => JSON.parse(await ask('gateways'))})
  } finally {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}
