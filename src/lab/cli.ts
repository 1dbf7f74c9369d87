// Runs gwswitch itself inside the lab, as an operator would, and takes its JSON.

import {Failure} from '../errors.ts'
import {tryCommand} from '../net/process/command.ts'
import {namespaceCommand} from '../net/process/netns.ts'
import {labFiles} from './state.ts'
import {namespaceOf} from './topology.ts'

export interface CliRun<T> {
  /** The command as a person would type it, without the namespace. */
  readonly line: string
  readonly exitCode: number
  readonly document: T
}

/** Runs `gwswitch ARGS -f INVENTORY --json` in a node of the lab. @throws Failure `runtime` if it prints no document. */
export async function gwswitchIn<T>(
  prefix: string,
  node: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<CliRun<T>> {
  const script = process.argv[1]!
  const {inventory, journal} = labFiles(prefix)
  // What is switched in a lab is none of the machine's history, and goes with it.
  const command = ['env', `GWSWITCH_JOURNAL=${journal}`, process.execPath, script, ...args, '-f', inventory, '--json']
  const [program = '', ...rest] = namespaceCommand(namespaceOf(prefix, node), command)
  const result = await tryCommand(program, rest, {...(signal && {signal})})
  const line = `gwswitch ${args.join(' ')}`
  try {
    const document = JSON.parse(result.stdout) as T & {error?: {message: string}}
    if (document.error) throw new Failure('runtime', `${line}: ${document.error.message}`)
    return {line, exitCode: result.code ?? 1, document}
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(
      'runtime',
      `${line} ended with code ${result.code}: ${result.stderr.trim().split('\n')[0] || 'no output'}`,
    )
  }
}
