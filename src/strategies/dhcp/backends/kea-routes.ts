// Option 121 (RFC 3442) as Kea's configuration writes it. A client that takes it ignores option 3.
import type {Ipv4} from '../../../wire/address.ts'
import {type ClasslessRoute, dhcpOptions} from '../../../wire/dhcp-options.ts'
import {ifWellFormed} from '../../../wire/error.ts'

const {read, write} = dhcpOptions.classlessStaticRoute

/** What Kea has for the option's data, by how the option is defined there; undefined for none of these. */
function formOf(data: string): 'text' | 'numbers' | 'hex' | undefined {
  if (/\d\s*-\s*\d/.test(data)) return 'text'
  if (/^\s*\d{1,3}(\s*,\s*\d{1,3})+\s*$/.test(data)) return 'numbers'
  return /^(0x)?[\da-f:\s]+$/i.test(data) ? 'hex' : undefined
}

function routesIn(data: string): readonly ClasslessRoute[] | undefined {
  if (formOf(data) === 'numbers') return ifWellFormed(() => read(Uint8Array.from(data.split(','), Number)))
  const digits = data.replace(/^0x/i, '').replaceAll(/[:\s]/g, '')
  return ifWellFormed(() => read(Uint8Array.from(Buffer.from(digits, 'hex'))))
}

const isDefault = ({prefix}: ClasslessRoute): boolean => prefix.length === 0

/** `0.0.0.0/0 - 10.0.0.1`, one of several. */
const DEFAULT_TEXT = /(\b0\.0\.0\.0\/0\s*-\s*)([\d.]+)/

/** The router of its default route; null: it has none; undefined: it cannot be read. */
export function defaultRouter(data: string): Ipv4 | null | undefined {
  if (formOf(data) === 'text') return DEFAULT_TEXT.exec(data)?.[2] ?? null
  if (formOf(data) === undefined) return undefined
  const routes = routesIn(data)
  return routes && (routes.find(isDefault)?.router ?? null)
}

/** The same data with another router for the default route; every other route as it was. */
export function withDefaultRouter(data: string, router: Ipv4): string {
  if (formOf(data) === 'text') return data.replace(DEFAULT_TEXT, `$1${router}`)
  const bytes = write((routesIn(data) ?? []).map((route) => (isDefault(route) ? {...route, router} : route)))
  return formOf(data) === 'numbers' ? Array.from(bytes).join(', ') : Buffer.from(bytes).toString('hex')
}
