// Reads a table as nft(8) shows it: its JSON; its rules and sets as the kernel's instructions, which no listing shows; and
// its text, for what nft 1.0.6 leaves out of the JSON (docs/decisions/0018).
import {Failure} from '../../errors.ts'
import {number, optional, record, shaped, text} from '../json-shape.ts'

/** One rule as the kernel holds it. */
export interface NftRule {
  readonly chain: string
  readonly comment: string | undefined
  /** Its instructions, counters at zero, sets without a name written out. */
  readonly code: string
  /** What its counter says; undefined if it has none. */
  readonly counter: NftCounter | undefined
}

export interface NftCounter {
  readonly packets: number
  readonly bytes: number
}

export interface NftTable {
  /** Table, chains and sets as declared: types, hooks, priorities, policies, flags, devices. Sorted. */
  readonly declarations: readonly string[]
  /** Elements of named sets, sorted, as the kernel's hexadecimal words. */
  readonly sets: ReadonlyMap<string, readonly string[]>
  /** Elements of named sets as nft writes them, the parts of one joined by ` . `. */
  readonly elements: ReadonlyMap<string, readonly string[]>
  /** Devices that its chains hook into, each once, sorted. */
  readonly devices: readonly string[]
  /** In the order of each chain. */
  readonly rules: readonly NftRule[]
}

/** How tables are listed: the output of these, one behind the other, is what {@link parseNftTables} reads. */
export const NFT_LISTINGS = [['-j', '--debug=netlink', 'list'], ['list']] as const

/** The tables of one family, by their names. @throws Failure `runtime` for what nft(8) does not write. */
export function parseNftTables(output: string): ReadonlyMap<string, NftTable> {
  const lines = output.split('\n')
  const at = lines.findIndex((line) => line.startsWith('{"nftables"'))
  const instructions = byTable(lines.slice(0, Math.max(at, 0)), INSTRUCTIONS_HEAD)
  const objects = Map.groupBy(readNftJson(lines[at] ?? ''), tableOf)
  const texts = byTable(lines.slice(at + 1), TEXT_HEAD)
  return new Map(
    [...objects].flatMap(([name, mine]) =>
      name === undefined ? [] : [[name, tableFrom(instructions.get(name) ?? [], mine, texts.get(name) ?? [])]],
    ),
  )
}

/** The first word of a head is the family: names of tables may stand in it as well, as may anything in a comment. */
const INSTRUCTIONS_HEAD = /^[a-z]\S* (\S+) (?:@\S+|\S+ \d+(?: \d+)?) *$/
const TEXT_HEAD = /^table \S+ (\S+) \{/

/** Lines by the table that they are about, heads included. */
function byTable(lines: readonly string[], head: RegExp): ReadonlyMap<string, readonly string[]> {
  const tables = new Map<string, string[]>()
  let mine: string[] = []
  for (const line of lines) {
    const name = head.exec(line)?.[1]
    if (name !== undefined) {
      mine = tables.get(name) ?? []
      tables.set(name, mine)
    }
    mine.push(line)
  }
  return tables
}

const tableOf = ({kind, body}: NftObject): string | undefined =>
  kind === 'metainfo' ? undefined : kind === 'table' ? nameOf(body) : shaped(body, 'nft', TABLED).table

function tableFrom(
  instructions: readonly string[],
  objects: readonly NftObject[],
  listing: readonly string[],
): NftTable {
  const {sets, bodies} = readInstructions(instructions)
  const {flags, devices} = readLeftOut(listing)
  const rules = objects.filter(({kind}) => kind === 'rule')
  const declared = objects.filter(({kind}) => kind !== 'rule')
  return {
    declarations: [...declared.map(declaration), ...flags].sort(),
    sets: new Map([...sets].filter(([name]) => !name.startsWith('__'))),
    elements: new Map(
      declared.flatMap(({kind, body}) => (kind === 'set' ? [[nameOf(body), list(body.elem).map(elementText)]] : [])),
    ),
    devices: [...new Set(devices)].sort(),
    rules: rules.map(({body}) => {
      const {chain, handle, comment} = shaped(body, 'nft', RULE)
      return {chain, comment, code: codeOf(bodies.get(handle) ?? [], sets), counter: counterOf(body)}
    }),
  }
}

const RULE = record({chain: text, handle: number, comment: optional(text)})
const NAMED = record({name: text})
const TABLED = record({table: text})
const COUNTER_VALUES = record({packets: number, bytes: number})
const nameOf = (body: NftObject['body']): string => shaped(body, 'nft', NAMED).name

interface NftObject {
  /** `table`, `chain`, `set`, `rule`, ... */
  readonly kind: string
  readonly body: Readonly<Record<string, unknown>>
}

/** The objects of what `nft -j` prints, in its order. @throws Failure `runtime` if it is no such JSON. */
export function readNftJson(json: string): NftObject[] {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new Failure('runtime', 'nft: what it lists is no JSON')
  }
  if (!isObject(value) || !Array.isArray(value.nftables))
    throw new Failure('runtime', 'nft: its JSON has no "nftables"')
  return value.nftables.flatMap((each: unknown) =>
    Object.entries(isObject(each) ? each : {}).flatMap(([kind, body]) => (isObject(body) ? [{kind, body}] : [])),
  )
}

/** What the counter of a rule says; undefined if it has none. */
export function counterOf({expr}: NftObject['body']): NftCounter | undefined {
  for (const each of list(expr)) {
    if (!isObject(each) || !isObject(each.counter)) continue
    const {packets, bytes} = shaped(each.counter, 'nft', COUNTER_VALUES)
    return {packets, bytes}
  }
  return undefined
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** What differs from load to load, and what the text says instead: for a table nft writes its family as its flags. */
const NOT_DECLARED = ['family', 'table', 'name', 'handle', 'elem', 'dev']

function declaration({kind, body}: NftObject): string {
  const facts = Object.entries(body).filter(
    ([key]) => !NOT_DECLARED.includes(key) && !(kind === 'table' && key === 'flags'),
  )
  const told = facts.map(([key, value]) => ` ${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `${kind} ${nameOf(body)}${told.length === 0 ? '' : `:${told.join('')}`}`
}

const elementText = (element: unknown): string =>
  isObject(element) && Array.isArray(element.concat)
    ? element.concat.map(elementText).join(' . ')
    : typeof element === 'string'
      ? element
      : JSON.stringify(element)

/** `bridge gwswitch @name`, `bridge gwswitch chain 9 8`: what follows belongs to it. */
const SET_HEAD = /^\S+ \S+ @(\S+)$/
const RULE_HEAD = /^\S+ \S+ \S+ (\d+)(?: \d+)? *$/
const COUNTER = /\[ counter pkts \d+ bytes \d+ \]/

/** Elements by set, instructions by the handle of their rule. */
function readInstructions(lines: readonly string[]) {
  const sets = new Map<string, string[]>()
  const bodies = new Map<number, string[]>()
  let take: (line: string) => void = () => {}
  for (const line of lines) {
    const set = SET_HEAD.exec(line)?.[1]
    const handle = RULE_HEAD.exec(line)?.[1]
    if (set !== undefined) {
      const elements: string[] = []
      sets.set(set, elements)
      take = (element) => void elements.push(element.trim().replace(/^element /, ''))
    } else if (handle !== undefined) {
      const body: string[] = []
      bodies.set(Number(handle), body)
      take = (instruction) => void body.push(instruction.trim())
    } else if (line.trim() !== '') take(line)
  }
  for (const elements of sets.values()) elements.sort()
  return {sets, bodies}
}

const codeOf = (body: readonly string[], sets: ReadonlyMap<string, readonly string[]>): string =>
  body
    .join('\n')
    .replace(COUNTER, '[ counter ]')
    .replace(/\bset (__\w+)( 0x\w+)?/g, (_, name: string) => `set { ${(sets.get(name) ?? ['?']).join(', ')} }`)

/** The flags of the table, sets that merge their elements, and the devices of chains: nft 1.0.6 has them in its text only. */
function readLeftOut(listing: readonly string[]) {
  const flags: string[] = []
  const devices: string[] = []
  let owner = ''
  for (const line of listing) {
    const text = line.trim()
    const named = /^(?:(table) \S+|(\w+)) (\S+) \{/.exec(text)
    if (named) owner = `${named[1] ?? named[2]} ${named[3]}`
    if (text === 'auto-merge' || (owner.startsWith('table ') && text.startsWith('flags ')))
      flags.push(`${owner}: ${text}`)
    // One device is in quotes, several are not, and in an order of the kernel's.
    const names = /\bdevices? (?:= \{ )?([^{}]*?)(?: \})? priority/.exec(text)?.[1]
    if (names === undefined) continue
    const sorted = names.replaceAll('"', '').split(', ').sort()
    devices.push(...sorted)
    flags.push(`${owner}: devices ${sorted.join(', ')}`)
  }
  return {flags, devices}
}
