// First-hop redundancy protocols: the MACs and groups by which their routers are known.
import type {Mac} from '../../wire/address.ts'

/** Virtual MACs of one protocol: those equal to `value` under `mask`. */
export interface VirtualMacs {
  readonly protocol: string
  readonly value: Mac
  readonly mask: Mac
}

/** VRRP: RFC 5798 section 7.3. HSRP and GLBP: RFC 2281 and what Cisco documents. */
export const VIRTUAL_MACS: readonly VirtualMacs[] = [
  {protocol: 'VRRP', value: '00:00:5e:00:01:00', mask: 'ff:ff:ff:ff:ff:00'},
  {protocol: 'VRRP for IPv6', value: '00:00:5e:00:02:00', mask: 'ff:ff:ff:ff:ff:00'},
  {protocol: 'HSRP', value: '00:00:0c:07:ac:00', mask: 'ff:ff:ff:ff:ff:00'},
  {protocol: 'HSRP version 2', value: '00:00:0c:9f:f0:00', mask: 'ff:ff:ff:ff:f0:00'},
  {protocol: 'HSRP for IPv6', value: '00:05:73:a0:00:00', mask: 'ff:ff:ff:ff:f0:00'},
  {protocol: 'GLBP', value: '00:07:b4:00:00:00', mask: 'ff:ff:ff:ff:00:00'},
]

const bytesOf = (mac: Mac): number[] => mac.split(':').map((pair) => Number.parseInt(pair, 16))

/** The protocol whose virtual MAC this is; undefined if it is a station's own. */
export function virtualMacProtocol(mac: Mac): string | undefined {
  const bytes = bytesOf(mac)
  const fits = ({value, mask}: VirtualMacs): boolean => {
    const [want, care] = [bytesOf(value), bytesOf(mask)]
    return bytes.every((byte, i) => (byte & care[i]!) === want[i])
  }
  return VIRTUAL_MACS.find(fits)?.protocol
}
