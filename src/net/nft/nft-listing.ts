// Reads what `nft --debug=netlink list table` prints: first the kernel's sets and rules as instructions, then the listing.

/** One rule as the kernel holds it. */
export interface NftRule {
  readonly chain: string
  readonly comment: string | undefined
  /** Its instructions, counters at zero, sets without a name written out. */
  readonly code: string
  /** What its counter says; undefined if it has none. */
  readonly counter: {readonly packets: number; readonly bytes: number} | undefined
}

export interface NftTable {
  /** Table, chains and sets as declared: types, hooks, priorities, policies, flags. Sorted. */
  readonly declarations: readonly string[]
  /** Elements of named sets, sorted, as the kernel's hexadecimal words. */
  readonly sets: ReadonlyMap<string, readonly string[]>
  /** Elements of named sets as nft writes them. */
  readonly elements: ReadonlyMap<string, readonly string[]>
  /** In the order of each chain. */
  readonly rules: readonly NftRule[]
}

/** `bridge gwswitch @name`, `bridge gwswitch chain 9 8`: what follows belongs to it. */
const SET_HEAD = /^\S+ \S+ @(\S+)$/
const RULE_HEAD = /^\S+ \S+ (\S+) \d+(?: \d+)? *$/
const COUNTER = /\[ counter pkts (\d+) bytes (\d+) \]/

export function parseNftTable(output: string): NftTable {
  const lines = output.split('\n')
  const listing = lines.findIndex((line) => /^table \S+ \S+ \{/.test(line))
  const {sets, rules} = readDebug(lines.slice(0, listing))
  const named = new Map([...sets].filter(([name]) => !name.startsWith('__')))
  return {
    declarations: readDeclarations(lines.slice(listing)),
    sets: named,
    elements: readElements(lines.slice(listing).join('\n')),
    rules: rules.map(({chain, body}) => ruleOf(chain, body, sets)),
  }
}

function readDebug(lines: readonly string[]) {
  const sets = new Map<string, string[]>()
  const rules: {chain: string; body: string[]}[] = []
  let take: (line: string) => void = () => {}
  for (const line of lines) {
    const set = SET_HEAD.exec(line)?.[1]
    const chain = RULE_HEAD.exec(line)?.[1]
    if (set !== undefined) {
      const elements: string[] = []
      sets.set(set, elements)
      take = (element) => void elements.push(element.trim().replace(/^element /, ''))
    } else if (chain !== undefined) {
      const body: string[] = []
      rules.push({chain, body})
      take = (instruction) => void body.push(instruction.trim())
    } else if (line.trim() !== '') take(line)
  }
  for (const elements of sets.values()) elements.sort()
  return {sets, rules}
}

function ruleOf(chain: string, body: readonly string[], sets: ReadonlyMap<string, readonly string[]>): NftRule {
  const text = body.join('\n')
  const counted = COUNTER.exec(text)
  // The attribute of the comment: type 0, length (shown as a character where it is one), text, NUL.
  const comment = /userdata = \{ \\x00(?:\\x..|.)(.*?)\\x00/.exec(text)?.[1]
  const code = text
    .replace(COUNTER, '[ counter ]')
    .replace(/\bset (__\w+)( 0x\w+)?/g, (_, name: string) => `set { ${(sets.get(name) ?? ['?']).join(', ')} }`)
  return {
    chain,
    comment,
    code,
    counter: counted ? {packets: Number(counted[1]), bytes: Number(counted[2])} : undefined,
  }
}

/** What a table, a set or a chain is declared as. Rules are told from it by what the first word is. */
function readDeclarations(lines: readonly string[]): string[] {
  const out: string[] = []
  let owner = ''
  for (const line of lines) {
    const text = line.trim()
    if (/^(?:table|set|map|chain|flowtable|counter|quota|limit) .*\{/.test(text)) owner = text.replace(/ \{.*$/, '')
    else if (text === '}') owner = ''
    else if (/^(?:type|typeof|flags|timeout|gc-interval|size|policy|auto-merge|hook|devices?)\b/.test(text))
      out.push(`${owner}: ${orderedDevices(text)}`)
    if (text !== '' && owner !== '' && !out.includes(owner)) out.push(owner)
  }
  return out.sort()
}

/** The kernel lists devices in an order of its own, and nft puts one in quotes, several not. */
const orderedDevices = (text: string): string =>
  text.replace(/\bdevices? (?:= \{ )?([^{}]*?)(?: \})? priority/, (_, names: string) => {
    const sorted = names.replaceAll('"', '').split(', ').sort()
    return `devices ${sorted.join(', ')} priority`
  })

/** The elements of each named set: `elements = { a, b . c }`, over several lines if there are many. */
function readElements(listing: string): Map<string, readonly string[]> {
  const out = new Map<string, readonly string[]>()
  for (const [, name, body] of listing.matchAll(/\bset (\w+) \{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}/g)) {
    const inner = /elements = \{([^{}]*)\}/.exec(body!)?.[1]
    out.set(name!, inner === undefined ? [] : inner.split(',').map((element) => element.trim().replace(/\s+/g, ' ')))
  }
  return out
}
