// Option 121 (RFC 3442), and 249, Microsoft's number for it, in ISC dhcpd's configuration and in its hosts. dhcpd has no name
// of its own for either: whoever configures it gives one (dhcp-options(5), "option definitions"). Pure.
import {type Ipv4, prefixContains, readPrefix} from '../../../wire/address.ts'
import {type ClasslessRoute, dhcpOptions} from '../../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../../wire/error.ts'

const CODES = [121, 249] as const
type Code = (typeof CODES)[number]
/** How the options are called by whoever does not say it in a configuration that we can read. */
const USUAL: Readonly<Record<Code, string>> = {
  121: '(?!ms-)[\\w.-]*(?:rfc3442|classless)[\\w-]*',
  249: 'ms-[\\w-]*(?:rfc3442|classless)[\\w-]*',
}

/** Routes with a default route among them, or none at all: what they say cannot be read. */
export interface IscRoutes {
  readonly code: Code
  readonly routes: readonly ClasslessRoute[] | undefined
}

/** One block of the configuration: what is before its brace, and the block that it is in. */
interface Block {
  readonly head: string
  readonly outer: Block | undefined
}

/** What a configuration says of the options: their names, and each of their values with the block that it stands in. */
export interface IscConfig {
  readonly names: Readonly<Record<Code, string>>
  readonly said: readonly {readonly code: Code; readonly value: string; readonly block: Block}[]
  readonly blocks: readonly Block[]
}

const WORDS = /#[^\n]*|"(?:[^"\\]|\\.)*"|[{};]|[^\s{};"#]+/g

const INCLUDES = /#[^\n]*|"(?:[^"\\]|\\.)*"|(?<![\w.-])include\s+"([^"]+)"\s*;/g
const DEEPEST = 8

/** A configuration with what it includes, where it does; undefined if it cannot be read, or not all of it. */
export function includedConfig(
  path: string,
  read: (path: string) => string | undefined,
  depth = 0,
): string | undefined {
  let isWhole = true
  const included = (words: string, file?: string): string => {
    if (file === undefined) return words
    const part = includedConfig(file, read, depth + 1)
    isWhole &&= part !== undefined
    return `${part}\n`
  }
  const text = depth > DEEPEST ? undefined : read(path)?.replace(INCLUDES, included)
  return isWhole ? text : undefined
}

/** Reads dhcpd.conf(5), as far as it says anything of these options. */
export function readIscConfig(text: string): IscConfig {
  const root: Block = {head: '', outer: undefined}
  const blocks = [root]
  const statements: {words: string; block: Block}[] = []
  let block = root
  let words: string[] = []
  for (const [word] of text.matchAll(WORDS)) {
    if (word.startsWith('#')) continue
    if (word === '{') {
      block = {head: words.join(' '), outer: block}
      blocks.push(block)
    } else if (word === '}') block = block.outer ?? root
    else if (word === ';') statements.push({words: words.join(' '), block})
    else {
      words.push(word)
      continue
    }
    words = []
  }
  const named = (code: Code): string[] =>
    statements.flatMap(({words: each}) => new RegExp(`^option (\\S+) code ${code} =`).exec(each)?.[1] ?? [])
  const pattern = (code: Code): string =>
    [`unknown-${code}`, ...named(code).map((name) => name.replaceAll('.', '\\.')), USUAL[code]].join('|')
  const names = {121: pattern(121), 249: pattern(249)}
  const said = statements.flatMap(({words: each, block: of}) =>
    CODES.flatMap((code) => {
      const value = new RegExp(`^(?:option|supersede|default) (?:${names[code]}) (?!code )(.*)$`).exec(each)?.[1]
      return value === undefined ? [] : [{code, value, block: of}]
    }),
  )
  return {names, said, blocks}
}

/** `0, 10, 0, 0, 1`, `= 00:0a:00:00:01`, or what dhcpd makes of the first: `concat (concat (00, 0a), 00)`. */
function routesOf(value: string): readonly ClasslessRoute[] | undefined {
  const isDecimal = /^\d{1,3}( ?, ?\d{1,3})*$/.test(value)
  const plain = value
    .replace(/^= ?/, '')
    .replaceAll(/concat|[(),:]/g, ' ')
    .trim()
  const numbers = plain.split(/\s+/)
  if (!numbers.every((each) => (isDecimal ? /^\d{1,3}$/ : /^[\da-f]{1,2}$/i).test(each))) return undefined
  const bytes = Uint8Array.from(numbers, (each) => Number.parseInt(each, isDecimal ? 10 : 16))
  return ifWellFormed(() => dhcpOptions.classlessStaticRoute.read(bytes))
}

/** The options that everybody at that address gets, by its subnet, its shared network, or all of the configuration. */
export function scopeRoutes({said, blocks}: IscConfig, ip: Ipv4): readonly IscRoutes[] {
  const home = blocks.find(({head}) => {
    const [, net, mask] = /^subnet (\S+) netmask (\S+)$/.exec(head) ?? []
    const prefix = net === undefined ? undefined : readPrefix(`${net}/${lengthOf(mask!)}`)
    return prefix !== undefined && prefixContains(prefix, ip)
  })
  const holders: Block[] = []
  for (let block = home ?? blocks[0]; block; block = block.outer) holders.push(block)
  return CODES.flatMap((code) => {
    // The innermost block counts, and the last word in it.
    for (const holder of holders) {
      const found = said.findLast((each) => each.code === code && each.block === holder)
      if (found) return [{code, routes: routesOf(found.value)}]
    }
    return []
  })
}

const lengthOf = (mask: string): number =>
  mask
    .split('.')
    .map((byte) => Number(byte).toString(2).replaceAll('0', '').length)
    .reduce((sum, bits) => sum + bits, 0)

const statement = (names: string): RegExp => new RegExp(`(?:\\w+ )?(?<![\\w.-])(?:${names}) (?:= )?([^;]+);`)

/** The options among a host's statements. */
export const hostRoutes = (statements: string, {names}: Pick<IscConfig, 'names'>): readonly IscRoutes[] =>
  CODES.flatMap((code) => {
    const value = statement(names[code]).exec(statements)?.[1]
    return value === undefined ? [] : [{code, routes: routesOf(value)}]
  })

/** A host's statements without them. */
export const withoutRoutes = (statements: string, {names}: Pick<IscConfig, 'names'>): string =>
  CODES.reduce((text, code) => text.replace(statement(names[code]), ''), statements).trim()

const isDefault = ({prefix}: ClasslessRoute): boolean => prefix.length === 0

/** The router of their default route; undefined if they have none. */
export const routerOfRoutes = (all: readonly IscRoutes[]): Ipv4 | undefined =>
  all.map(({routes}) => routes?.find(isDefault)?.router).find((router) => router !== undefined)

/** The statement with another default route, the other routes as they were. By number, which dhcpd takes for any name. */
export function routesStatement({code, routes}: IscRoutes, router: Ipv4): string {
  const changed = (routes ?? []).map((route) => (isDefault(route) ? {...route, router} : route))
  const bytes = Buffer.from(dhcpOptions.classlessStaticRoute.write(changed)).toString('hex')
  return `option unknown-${code} = ${bytes.replace(/..(?=.)/g, '$&:')};`
}
