// First-hop redundancy protocols: the MACs and groups by which their routers are known.
import type {Mac} from '../../wire/address.ts'

/** Virtual MACs of one protocol: those equal to `value` under `mask`. */
interface VirtualMacs {
  readonly protocol: string
  readonly value: Mac
  readonly mask: Mac
}

/** VRRP: RFC 5798 section 7.3. HSRP and GLBP: RFC 2281 and what Cisco documents. */
const VIRTUAL_MACS: readonly VirtualMacs[] = [
  {protocol: 'VRRP', value: '00:00:5e:00:01:00', mask: 'ff:ff:ff:ff:ff:00'},
  {protocol: 'VRRP for IPv6', value: '00:00:5e:00:02:00', mask: 'ff:ff:ff:ff:ff:00'},
  {protocol: 'HSRP', value: '00:00:0c:07:ac:00', mask: 'ff:ff:ff:ff:ff:00'},
  {protocol: 'HSRP version 2', value: '00:00:0c:9f:f0:00', mask: 'ff:ff:ff:ff:f0:00'},
  {protocol: 'HSRP for IPv6', value: '00:05:73:a0:00:00', mask: 'ff:ff:ff:ff:f0:00'},
  {protocol: 'GLBP', value: '00:07:b4:00:00:00', mask: 'ff:ff:ff:fc:00:00'},
]

/** A group of a redundancy protocol on a segment: what its routers' hellos carry, and its virtual MACs. */
export interface FhrpGroup {
  /** `HSRP` is its version 1, with groups of 8 bits. */
  readonly protocol: 'VRRP' | 'HSRP' | 'HSRP version 2' | 'GLBP'
  /** VRID or VHID, group number. */
  readonly group: number
  /** Of both address families; equal to `value` under `mask`. */
  readonly macs: readonly {readonly value: Mac; readonly mask: Mac}[]
}

const WHOLE: Mac = 'ff:ff:ff:ff:ff:ff'
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')

/** The group that a virtual MAC belongs to; undefined if it is a station's own. */
export function fhrpGroup(mac: Mac): FhrpGroup | undefined {
  const [, , , b3 = 0, b4 = 0, b5 = 0] = bytesOf(mac)
  switch (virtualMacProtocol(mac)) {
    case 'VRRP':
    case 'VRRP for IPv6':
      return {
        protocol: 'VRRP',
        group: b5,
        macs: ['01', '02'].map((family) => ({value: `00:00:5e:00:${family}:${hex(b5, 2)}`, mask: WHOLE})),
      }
    case 'HSRP':
      return {protocol: 'HSRP', group: b5, macs: [{value: mac, mask: WHOLE}]}
    case 'HSRP version 2':
    case 'HSRP for IPv6': {
      const high = hex(b4 & 0x0f, 1)
      return {
        protocol: 'HSRP version 2',
        group: ((b4 & 0x0f) << 8) | b5,
        macs: [`00:00:0c:9f:f${high}`, `00:05:73:a0:0${high}`].map((front) => ({
          value: `${front}:${hex(b5, 2)}`,
          mask: WHOLE,
        })),
      }
    }
    case 'GLBP':
      // Ten bits of group, then the forwarder: every forwarder of the group has a MAC.
      return {
        protocol: 'GLBP',
        group: ((b3 << 8) | b4) & 0x3ff,
        macs: [{value: `00:07:b4:${hex(b3, 2)}:${hex(b4, 2)}:00`, mask: 'ff:ff:ff:ff:ff:00'}],
      }
    default:
      return undefined
  }
}

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
