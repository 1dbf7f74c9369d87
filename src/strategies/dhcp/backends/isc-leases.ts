// The hosts in ISC dhcpd's leases file (dhcpd.leases(5)): those that it was told of at run time, with what it gives them.
import {type Ipv4, isIpv4, type Mac} from '../../../wire/address.ts'

/** JSON. */
export interface IscHost {
  readonly name: string
  readonly ip: Ipv4 | null
  /** What its clients get, as dhcpd writes it: `supersede routers = 0a:00:00:01;`; '' for nothing. */
  readonly statements: string
}

/** The host of a client as the file has it last; undefined if there is none, or it was deleted. */
export function iscHost(text: string, mac: Mac): IscHost | undefined {
  const hosts = new Map<string, {readonly mac: string | undefined; readonly host: IscHost}>()
  for (const [, name = '', body = ''] of text.matchAll(/^host (\S+) \{\n([\s\S]*?)^\}/gm)) {
    const lines = body.split('\n').map((line) => line.trim())
    hosts.delete(name)
    if (lines.includes('deleted;')) continue
    const value = (key: string): string | undefined =>
      lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1, -1)
    const ip = value('fixed-address')
    const statements = lines.filter((line) => line !== '' && !OWN.some((word) => line.startsWith(word))).join(' ')
    hosts.set(name, {mac: value('hardware ethernet'), host: {name, ip: ip && isIpv4(ip) ? ip : null, statements}})
  }
  return [...hosts.values()].find((each) => each.mac === mac)?.host
}

/** What stands in a host beside what it gives. */
const OWN = ['dynamic;', 'hardware ', 'fixed-address ', 'uid ', 'client-hostname ', 'group ']

const ROUTERS = /(?:\w+ )?\brouters (?:= )?([^;]+);/

/** Statements with another router, and what else they say as it is. */
export const withIscRouter = (statements: string, router: Ipv4): string =>
  `${statements.replace(ROUTERS, '')} option routers ${router};`.trim()

/** The router that a host's clients get, the first of several; undefined if it says nothing of that. */
export function iscRouter({statements}: IscHost): Ipv4 | undefined {
  const words = ROUTERS.exec(statements)?.[1]
  const first = words?.split(',')[0]?.trim()
  if (first === undefined || isIpv4(first)) return first
  const bytes = /^(?:[0-9a-f]{1,2}:){3}[0-9a-f]{1,2}/.exec(first)?.[0].split(':')
  return bytes?.map((byte) => Number.parseInt(byte, 16)).join('.')
}
