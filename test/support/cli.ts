// Runs the CLI as it is installed, from dist/, in a namespace or here.
import {join} from 'node:path'
import {type CommandResult, tryCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {checkDocuments} from './schemas.ts'

const bin = join(import.meta.dirname, '../../bin/run.js')

export interface CliResult extends CommandResult {
  /** stdout as JSON; undefined if it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: documents of every command come through here
  readonly json: any
}

export interface CliOptions {
  /** Network namespace to run in. */
  readonly namespace?: string
  /** Words before the program: `setpriv ...`. */
  readonly under?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** On its standard input. */
  readonly input?: string
}

/**
 * `gwswitch ARGS`. Exit codes are results; nothing is thrown for them.
 * @throws Error where a document that it prints is not as its schema says, or where with --json it is none.
 */
export async function gwswitch(
  args: readonly string[],
  {namespace, under = [], env = {}, input = ''}: CliOptions = {},
): Promise<CliResult> {
  const set = Object.entries({NO_COLOR: '1', NODE_ENV: 'production', ...env}).map(([name, value]) => `${name}=${value}`)
  const inside = ['env', ...set, ...under, process.execPath, bin, ...args]
  const [program, ...rest] = namespace === undefined ? inside : namespaceCommand(namespace, inside)
  const result = await tryCommand(program!, rest, {input})
  // biome-ignore lint/suspicious/noExplicitAny: documents of every command come through here
  let json: any
  try {
    json = JSON.parse(result.stdout)
  } catch {
    json = undefined
  }
  // After `--` what is printed is another program's.
  const wantsJson = args.slice(0, args.indexOf('--') >>> 0).includes('--json')
  if (wantsJson && json !== undefined && typeof json.schema !== 'string') throw new Error(`no schema: ${result.stdout}`)
  checkDocuments(result.stdout)
  return {...result, json}
}
