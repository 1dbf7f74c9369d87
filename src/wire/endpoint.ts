// `address:port`, as configurations and beacons write it.
import {isVersion6, readIp, readIpv6} from './ipv6-address.ts'

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/**
 * `10.0.0.1:6743`, `[fd00::1]:6743`, or an address alone for `port`; undefined for anything else. The address comes back
 * in the form in which the kernel's do.
 */
export function readEndpoint(text: string, port: number): Endpoint | undefined {
  const alone = readIp(text)
  if (alone !== undefined) return {address: alone, port}
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const address = bracketed === undefined ? readIp(plain ?? '') : readIpv6(bracketed)
  const given = Number(digits)
  return address !== undefined && given > 0 && given < 65_536 ? {address, port: given} : undefined
}

/** The inverse of {@link readEndpoint}. */
export const endpointText = ({address, port}: Endpoint): string =>
  isVersion6(address) ? `[${address}]:${port}` : `${address}:${port}`
