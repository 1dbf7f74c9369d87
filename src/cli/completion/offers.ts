// What may come next on a command line that is being typed: by oclif.manifest.json and the names of the inventory.

/** What is read of a flag or an argument in oclif.manifest.json. */
interface FlagEntry {
  readonly name: string
  readonly char?: string
  readonly type: 'boolean' | 'option'
  readonly summary?: string
  readonly description?: string
  readonly helpValue?: string
  readonly options?: readonly string[]
  readonly multiple?: boolean
  readonly allowNo?: boolean
  readonly hidden?: boolean
  readonly exclusive?: readonly string[]
}

interface ArgEntry {
  readonly name: string
  readonly options?: readonly string[]
}

interface CommandEntry {
  readonly id: string
  readonly summary?: string
  readonly hidden?: boolean
  readonly strict?: boolean
  readonly args: Readonly<Record<string, ArgEntry>>
  readonly flags: Readonly<Record<string, FlagEntry>>
}

export interface Manifest {
  readonly commands: Readonly<Record<string, CommandEntry>>
}

export interface Offer {
  readonly value: string
  readonly about?: string | undefined
}

/** What a value is, by the word that stands for it in the help. */
export type NameKind = 'VM' | 'SITE' | 'GATEWAY' | 'SEGMENT' | 'INTERFACE' | 'STRATEGY'

/** The shell knows best which files there are. */
export type PathKind = 'files' | 'directories'

/** What to offer. `names` are to be looked up; all of it is still to be compared with what was typed. */
export interface Offers {
  readonly offers: readonly Offer[]
  readonly names: readonly NameKind[]
  readonly paths?: PathKind | undefined
  /** What is typed already of the same word: `--to=`. */
  readonly before: string
  /** The inventory that the line names. */
  readonly inventory?: string | undefined
  /** Values that the line has already. */
  readonly given: readonly string[]
}

const NAMES: Readonly<Record<string, NameKind>> = {
  VM: 'VM',
  SITE: 'SITE',
  GATEWAY: 'GATEWAY',
  SEGMENT: 'SEGMENT',
  STRATEGY: 'STRATEGY',
  IF: 'INTERFACE',
  PORT: 'INTERFACE',
}
const PATHS: Readonly<Record<string, PathKind>> = {FILE: 'files', PATH: 'files', SOCKET: 'files', DIR: 'directories'}
/** Arguments by their names, where these are no words of the table above. */
const ARGUMENTS: Readonly<Record<string, string>> = {what: 'VM', client: 'VM'}

/** `words` come after the program's name; `current` is the one that is being typed. */
export function offersFor(manifest: Manifest, words: readonly string[], current: string): Offers {
  const asked = words[0] === 'help' ? words.slice(1) : words
  const {id, rest} = commandOf(manifest, asked)
  const command = manifest.commands[id]
  const line = readLine(command, rest)
  const found = {before: '', given: line.positional, inventory: line.values.get('inventory'), names: [], offers: []}
  if (line.open !== undefined) return {...found, ...ofValue(line.open.helpValue ?? '', line.open.options)}
  const joined = line.isFlags ? /^(--[\w-]+)=/.exec(current) : null
  if (joined !== null) {
    const flag = command?.flags[joined[1]!.slice(2)]
    return {...found, ...ofValue(flag?.helpValue ?? '', flag?.options), before: joined[0]}
  }
  const subcommands = rest.length > 0 ? [] : below(manifest, id)
  if (asked !== words) return {...found, offers: subcommands}
  if (line.isFlags && current.startsWith('-')) return {...found, offers: flagOffers(command, line.seen)}
  const value = ofArgument(command, line.positional.length)
  const isDone = subcommands.length === 0 && value.offers.length + value.names.length === 0 && value.paths === undefined
  if (isDone && current === '') return {...found, offers: flagOffers(command, line.seen)}
  return {...found, ...value, offers: [...subcommands, ...value.offers]}
}

/** The longest command, or topic, that the words begin with. */
function commandOf(manifest: Manifest, words: readonly string[]): {id: string; rest: readonly string[]} {
  const ids = Object.keys(manifest.commands)
  let id = ''
  for (const [i, word] of words.entries()) {
    const next = id === '' ? word : `${id}:${word}`
    if (!ids.some((each) => each === next || each.startsWith(`${next}:`))) return {id, rest: words.slice(i)}
    id = next
  }
  return {id, rest: []}
}

/** The next words of commands below a topic; of the root, if it is empty. */
function below(manifest: Manifest, id: string): Offer[] {
  const found = new Map<string, string[]>()
  for (const command of Object.values(manifest.commands)) {
    if (command.hidden || (id !== '' && !command.id.startsWith(`${id}:`))) continue
    const [word, ...more] = command.id.slice(id === '' ? 0 : id.length + 1).split(':')
    if (word === undefined || word === '') continue
    found.set(word, [...(found.get(word) ?? []), more.length === 0 ? (command.summary ?? '') : more.join(' ')])
  }
  const full = (word: string) => manifest.commands[id === '' ? word : `${id}:${word}`]?.summary
  return [...found].map(([value, said]) => ({value, about: full(value) ?? said.join(', ')}))
}

interface Line {
  readonly positional: readonly string[]
  /** Names of flags. */
  readonly seen: readonly string[]
  readonly values: ReadonlyMap<string, string>
  /** The flag whose value is being typed. */
  readonly open: FlagEntry | undefined
  /** No `--` has ended the flags. */
  readonly isFlags: boolean
}

function readLine(command: CommandEntry | undefined, words: readonly string[]): Line {
  const flags = Object.values(command?.flags ?? {})
  const positional: string[] = []
  const seen: string[] = []
  const values = new Map<string, string>()
  let open: FlagEntry | undefined
  let isFlags = true
  for (const word of words) {
    const [, long, joined] = /^--([\w-]+)(?:=(.*))?$/s.exec(word) ?? []
    const flag = isFlags ? flags.find(({name, char}) => name === long || `-${char}` === word) : undefined
    if (open !== undefined) {
      values.set(open.name, word)
      open = undefined
    } else if (flag !== undefined) {
      seen.push(flag.name)
      if (joined !== undefined) values.set(flag.name, joined)
      else if (flag.type === 'option') open = flag
    } else if (isFlags && word === '--') isFlags = false
    else if (!isFlags || !word.startsWith('-')) positional.push(word)
  }
  return {positional, seen, values, open, isFlags}
}

function ofArgument(command: CommandEntry | undefined, at: number): Pick<Offers, 'names' | 'offers' | 'paths'> {
  const args = Object.values(command?.args ?? {})
  const arg = args[at] ?? (command?.strict === false ? args.at(-1) : undefined)
  // The lab's VMs are its own, not the inventory's.
  if (arg === undefined || command?.id.startsWith('lab:')) return {names: [], offers: []}
  return ofValue(ARGUMENTS[arg.name] ?? arg.name.toUpperCase(), arg.options)
}

/** By `helpValue`: `SITE|GATEWAY` may be either. */
function ofValue(helpValue: string, options: readonly string[] = []): Pick<Offers, 'names' | 'offers' | 'paths'> {
  const kinds = helpValue.split('|')
  return {
    names: kinds.flatMap((kind) => NAMES[kind] ?? []),
    offers: options.map((value) => ({value})),
    paths: kinds.map((kind) => PATHS[kind]).find((kind) => kind !== undefined),
  }
}

/** Those that may still be given, the command's own before those of all. */
function flagOffers(command: CommandEntry | undefined, seen: readonly string[]): Offer[] {
  const flags = Object.values(command?.flags ?? {}).filter(({hidden}) => !hidden)
  const excluded = flags.flatMap(({name, exclusive = []}) => (seen.includes(name) ? exclusive : []))
  const free = flags.filter(
    ({name, multiple, exclusive = []}) =>
      (multiple || !seen.includes(name)) &&
      !excluded.includes(name) &&
      !exclusive.some((other) => seen.includes(other)),
  )
  const own = free.map(({name, summary, description, allowNo}) => [
    {value: `--${name}`, about: summary ?? description},
    ...(allowNo ? [{value: `--no-${name}`, about: `not: ${summary ?? description}`}] : []),
  ])
  return [...own.flat(), {value: '--help', about: 'show help'}]
}
