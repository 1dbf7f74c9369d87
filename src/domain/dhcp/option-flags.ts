// Options that operators give on the command line, as DHCP options.
import {Failure} from '../../errors.ts'
import {isIpv4} from '../../wire/address.ts'
import {type DhcpOption, dhcpOptions, dhcpValues, writeOption} from '../../wire/dhcp-options.ts'
import {WireError} from '../../wire/error.ts'

export interface OptionFlags {
  readonly dns: readonly string[]
  readonly domain?: string | undefined
  readonly search: readonly string[]
  readonly ntp: readonly string[]
  readonly mtu?: number | undefined
  /** CODE=TYPE:VALUE. */
  readonly option: readonly string[]
}

/** Options that the server fills in itself. */
const OWN = new Set([1, 3, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 82, 90, 121, 145])
const WANT = 'want CODE=TYPE:VALUE, TYPE one of ip, text, hex, u8, u16, u32: 42=ip:10.0.0.4,10.0.0.5'

/** @throws Failure `usage` for the first that is no option. */
export function scopeOptions({dns, domain, search, ntp, mtu, option}: OptionFlags): DhcpOption[] {
  const options: DhcpOption[] = []
  if (dns.length > 0) options.push(writeOption(dhcpOptions.domainNameServer, addresses('--dns', dns)))
  if (domain !== undefined)
    options.push(asOption(`--domain ${domain}`, () => writeOption(dhcpOptions.domainName, domain)))
  if (mtu !== undefined) options.push(writeOption(dhcpOptions.interfaceMtu, mtu))
  if (ntp.length > 0) options.push(writeOption(dhcpOptions.ntpServers, addresses('--ntp', ntp)))
  if (search.length > 0) options.push(asOption('--search', () => writeOption(dhcpOptions.domainSearch, search)))
  for (const text of option) {
    const read = optionOf(text)
    if (options.some(({code}) => code === read.code)) throw new Failure('usage', `option ${read.code} is given twice`)
    options.push(read)
  }
  return options
}

function addresses(flag: string, list: readonly string[]): readonly string[] {
  const wrong = list.find((ip) => !isIpv4(ip))
  if (wrong !== undefined) throw new Failure('usage', `${flag} "${wrong}" is not an IPv4 address (want 10.0.0.53)`)
  return list
}

function optionOf(text: string): DhcpOption {
  const match = /^(\d{1,3})=(ip|text|hex|u8|u16|u32):(.*)$/s.exec(text)
  if (!match) throw new Failure('usage', `--option "${text}" is no option (${WANT})`)
  const [, number, type, value] = match as unknown as [string, string, keyof typeof dhcpValues | 'hex', string]
  const code = Number(number)
  if (code < 1 || code > 254) throw new Failure('usage', `--option ${text}: codes go from 1 to 254`)
  if (OWN.has(code)) throw new Failure('usage', `--option ${text}: the server itself fills in option ${code}`)
  return {code, data: asOption(`--option ${text}`, () => dataOf(type, value))}
}

function dataOf(type: keyof typeof dhcpValues | 'hex', value: string): Uint8Array {
  if (type === 'ip') return dhcpValues.ip.write(value.split(','))
  if (type === 'text') return dhcpValues.text.write(value)
  if (type === 'hex') {
    const digits = value.replaceAll(/[:\s]/g, '')
    if (digits === '' || !/^(?:[0-9a-f]{2})+$/i.test(digits))
      throw new WireError('dhcp option', 'out-of-range', 0, `"${value}" is no pairs of hex digits`)
    return Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16))
  }
  return dhcpValues[type].write(/^\d+$/.test(value) ? Number(value) : Number.NaN)
}

function asOption<T>(what: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof WireError) throw new Failure('usage', `${what}: ${error.message}`)
    throw error
  }
}
