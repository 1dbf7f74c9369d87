// docs/reference/commands.md: every command with its arguments, flags and examples, from oclif.manifest.json.
import {generated, table} from './table.ts'

interface Argument {
  readonly name: string
  readonly description?: string
  readonly required?: boolean
  readonly options?: readonly string[]
  readonly default?: unknown
  readonly hidden?: boolean
}

export interface Flag extends Argument {
  readonly char?: string
  readonly summary?: string
  readonly type: 'boolean' | 'option'
  readonly allowNo?: boolean
  readonly multiple?: boolean
  readonly helpValue?: string | readonly string[]
  readonly env?: string
  readonly aliases?: readonly string[]
}

export interface Command {
  readonly id: string
  readonly summary?: string
  readonly description?: string
  readonly hidden?: boolean
  readonly strict?: boolean
  readonly args: Readonly<Record<string, Argument>>
  readonly flags: Readonly<Record<string, Flag>>
  readonly examples?: readonly (string | {readonly command: string; readonly description?: string})[]
}

export interface Manifest {
  readonly commands: Readonly<Record<string, Command>>
}

const spoken = (id: string): string => id.replaceAll(':', ' ')

/** As oclif fills them in for `--help`. */
export const filled = (text: string, id: string): string =>
  text.replaceAll('<%= config.bin %>', 'gwswitch').replaceAll('<%= command.id %>', spoken(id))

const code = (text: string): string => `\`${text}\``

function argumentText({name, required, hidden}: Argument, more: boolean): string {
  if (hidden) return ''
  const word = `${name.toUpperCase()}${more ? '...' : ''}`
  return required ? ` ${word}` : ` [${word}]`
}

function usageLine({id, args, strict}: Command): string {
  const all = Object.values(args)
  const words = all.map((argument, i) => argumentText(argument, strict === false && i === all.length - 1))
  return `gwswitch ${spoken(id)}${words.join('')} [flags]`
}

function flagText({name, char, type, allowNo, helpValue, options}: Flag): string {
  const value = helpValue ?? (options !== undefined ? options.join('|') : name.toUpperCase())
  const long = `--${allowNo ? '[no-]' : ''}${name}${type === 'option' ? ` ${[value].flat().join(' ')}` : ''}`
  return code(char === undefined ? long : `-${char}, ${long}`)
}

function meaning(id: string, {summary, description, options, multiple, env, default: preset}: Partial<Flag>): string {
  const shown = typeof preset === 'string' || typeof preset === 'number' ? `${preset}` : undefined
  return [
    filled(summary ?? description ?? '', id),
    options === undefined ? '' : `one of ${options.map(code).join(', ')}`,
    multiple ? 'may be given several times' : '',
    env === undefined ? '' : `also from ${code(env)}`,
    shown === undefined || shown === '' ? '' : `default ${code(shown)}`,
  ]
    .filter(Boolean)
    .join('; ')
}

function section(command: Command): string {
  const {id, summary = '', description = '', args, flags, examples = []} = command
  const own = Object.values(flags).filter(({hidden}) => !hidden)
  const given = Object.values(args).filter(({hidden, description}) => !hidden && description)
  const blocks = [
    `## gwswitch ${spoken(id)}`,
    `${filled(summary, id)}`,
    `\`\`\`\n${usageLine(command)}\n\`\`\``,
    filled(description, id).replaceAll('<', '&lt;'),
    given.length === 0
      ? ''
      : table(
          ['argument', ''],
          given.map((argument) => [code(argument.name.toUpperCase()), meaning(id, argument)]),
        ),
    own.length === 0
      ? ''
      : table(
          ['flag', ''],
          own.map((flag) => [flagText(flag), meaning(id, flag)]),
        ),
    examples.length === 0
      ? ''
      : `\`\`\`sh\n${examples
          .map((each) => (typeof each === 'string' ? each : each.command))
          .map((text) => filled(text, id))
          .join('\n')}\n\`\`\``,
  ]
  return blocks.filter(Boolean).join('\n\n')
}

type Topics = Readonly<Record<string, {readonly description: string}>>

export function commandsPage(commands: Manifest['commands'], topics: Topics): string {
  const shown = Object.values(commands)
    .filter(({hidden}) => !hidden)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const index = table(
    ['command', ''],
    shown.map(({id, summary = ''}) => [
      `[${code(spoken(id))}](#gwswitch-${id.replaceAll(':', '-')})`,
      filled(summary, id),
    ]),
  )
  const topicTable = table(
    ['topic', ''],
    Object.entries(topics).map(([name, {description}]) => [code(name), description]),
  )
  return `${[
    generated('Commands', 'oclif.manifest.json'),
    'Exit codes: [README](../../README.md#exit-codes). `--help` of each command says the same.',
    index,
    'Commands with two words belong to a topic:',
    topicTable,
    ...shown.map(section),
  ].join('\n\n')}\n`
}
