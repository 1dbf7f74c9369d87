// Lines of dnsmasq's options file that give a VM its gateway: option 3, and 121 and 249 (RFC 3442, and Microsoft's number
// for it), which clients that take them put in its place. Pure.
import {withoutComment} from '../../../net/dhcp/dnsmasq-config.ts'
import {type Ipv4, isIpv4} from '../../../wire/address.ts'

const CODES: Readonly<Record<string, number>> = {
  'option:router': 3,
  '3': 3,
  'option:classless-static-route': 121,
  '121': 121,
  '249': 249,
}
const ROUTER = 3
const ROUTES = [121, 249] as const

interface GatewayLine {
  readonly tags: readonly string[]
  readonly code: number
  readonly values: readonly string[]
}

/** An option that says a gateway: `tag:NAME,option:router,10.0.0.1`; undefined for every other line. */
function gatewayLine(line: string): GatewayLine | undefined {
  const parts = withoutComment(line)
    .trim()
    .split(',')
    .map((part) => part.trim())
  const at = parts.findIndex((part) => !part.startsWith('tag:'))
  const code = CODES[parts[at] ?? '']
  if (code === undefined) return undefined
  const values = parts.slice(at + 1)
  if (code === ROUTER ? !(values.length > 0 && values.every(isIpv4)) : defaultAt(values) === undefined) return undefined
  return {tags: parts.slice(0, at).map((part) => part.slice('tag:'.length)), code, values}
}

/** Where the router of the default route stands in `PREFIX,ROUTER,...`. */
function defaultAt(values: readonly string[]): number | undefined {
  const at = values.findIndex((value, i) => i % 2 === 0 && /^0\.0\.0\.0\/0$/.test(value))
  return at >= 0 && isIpv4(values[at + 1] ?? '') ? at + 1 : undefined
}

const linesOf = (text: string): readonly GatewayLine[] => text.split('\n').flatMap((line) => gatewayLine(line) ?? [])

/** The line is about this tag alone. */
const isOwn = (line: GatewayLine | undefined, tag: string): boolean =>
  line !== undefined && line.tags.length === 1 && line.tags[0] === tag
const isOwnText = (line: string, tag: string): boolean => isOwn(gatewayLine(line), tag)

const routerOf = ({code, values}: GatewayLine): Ipv4 => values[code === ROUTER ? 0 : defaultAt(values)!]!

/** The router that the options file gives to a tag; the last line counts, as in dnsmasq, and option 121 before option 3. */
export function routerIn(text: string, tag: string): Ipv4 | undefined {
  const own = linesOf(text).filter((line) => isOwn(line, tag))
  const last = own.findLast(({code}) => code !== ROUTER) ?? own.at(-1)
  return last && routerOf(last)
}

/**
 * The options file with the tag's router set, every other line as it was. Where it, or `elsewhere` (dnsmasq's own
 * configuration), has an option 121 or 249 with a default route for the tag or for everybody, the tag gets one with the
 * new router and the same other routes: a line with a tag takes the place of one without.
 */
export function withRouter(text: string, tag: string, router: Ipv4, elsewhere = ''): string {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  const kept = lines.filter((line) => !isOwnText(line, tag))
  const at = lines.findIndex((line) => isOwnText(line, tag))
  const known = [...linesOf(elsewhere), ...linesOf(text)]
  const routes = ROUTES.flatMap((code) => {
    const of = known.filter((line) => line.code === code)
    const said = of.findLast((line) => isOwn(line, tag)) ?? of.findLast(({tags}) => tags.length === 0)
    return said ? [`tag:${tag},${code},${said.values.with(defaultAt(said.values)!, router).join()}`] : []
  })
  const made = [`tag:${tag},option:router,${router}`, ...routes]
  return `${kept.toSpliced(at < 0 ? kept.length : at, 0, ...made).join('\n')}\n`
}

/** A line of the options file, and how many are before it. */
export type PlacedLine = Readonly<{at: number; line: string}>

/** Every line that gives the tag a gateway; null if there is none. */
export function routerLines(text: string, tag: string): PlacedLine[] | null {
  const lines = text.split('\n').flatMap((line, at) => (isOwnText(line, tag) ? [{at, line}] : []))
  return lines.length === 0 ? null : lines
}

/** The options file with these lines for the tag's gateway, where they were, and every other line as it is. */
export function withLines(text: string, tag: string, lines: readonly PlacedLine[] | null): string {
  const others = text.split('\n').filter((line) => !isOwnText(line, tag))
  // The last one is what follows the last newline: nothing goes behind that.
  for (const {at, line} of lines ?? []) others.splice(Math.min(at, others.length - 1), 0, line)
  return others.join('\n')
}

/** Tags that OpenStack Neutron's DHCP agent makes. */
const NEUTRON = /^tag:(?:subnet|port)-[\da-f]{8}-[\da-f]{4}-/m

/** Whether the file is one that Neutron writes, whole and anew at every change of a port. */
export const isNeutrons = (path: string, text: string): boolean => path.includes('/neutron/') || NEUTRON.test(text)
