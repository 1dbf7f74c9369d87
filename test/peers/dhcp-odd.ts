// Packets as careless clients and relays send them: each is an ordinary DISCOVER but for one thing.
import {DHCP_HEADER_LENGTH, DHCP_OFFSETS, serializeDhcp} from '../../src/wire/dhcp.ts'
import {relayed} from './dhcp-four.ts'

/** Bytes of the options field, and of `file` and `sname`. */
export interface OddPacket {
  readonly options: readonly number[]
  readonly file?: readonly number[]
  readonly sname?: readonly number[]
}

const DISCOVER = [53, 1, 1]
const END = 255
const asks = (...codes: number[]) => [55, codes.length, ...codes]

/** By what is odd about it. */
export const ODD: Readonly<Record<string, OddPacket>> = {
  'no end option, and nothing behind': {options: [...DISCOVER, ...asks(1, 3)]},
  'no end option, and zeros up to 300 bytes': {options: [...DISCOVER, ...asks(1, 3), ...Array(52).fill(0)]},
  'pad options between the others': {options: [0, 0, ...DISCOVER, 0, ...asks(1, 3), 0, END]},
  'rubbish behind the end option': {options: [...DISCOVER, ...asks(1, 3), END, 12, 200, 1, 2, 3]},
  'a last option that is cut': {options: [...DISCOVER, ...asks(1, 3), 12, 20, 97, 98]},
  'a last code without a length': {options: [...DISCOVER, ...asks(1, 3), 12]},
  'overload into file without an end option': {
    options: [...DISCOVER, 52, 1, 1, END],
    file: [...asks(1, 3), 12, 2, 97, 98],
  },
  'overload into both without end options': {
    options: [...DISCOVER, 52, 1, 3, END],
    file: asks(1, 3),
    sname: [12, 2, 97, 98],
  },
  'overload into file, full to its last byte': {
    options: [...DISCOVER, 52, 1, 1, END],
    file: [60, 126, ...Array(126).fill(97)],
  },
  'overload into file that is cut': {options: [...DISCOVER, 52, 1, 1, END], file: [...asks(1, 3), 60, 200]},
  'overload of 0': {options: [...DISCOVER, 52, 1, 0, END]},
  'overload of 4': {options: [...DISCOVER, 52, 1, 4, END]},
  'overload of two bytes': {options: [...DISCOVER, 52, 2, 1, 0, END]},
  'overload twice': {options: [...DISCOVER, 52, 1, 1, 52, 1, 1, END], file: asks(1, 3)},
  'an empty host name': {options: [...DISCOVER, 12, 0, END]},
  'an empty parameter request list': {options: [...DISCOVER, 55, 0, END]},
  'a parameter request list in two parts': {options: [...DISCOVER, ...asks(1), ...asks(3), END]},
  'an empty client identifier': {options: [...DISCOVER, 61, 0, END]},
  'a client identifier of one byte': {options: [...DISCOVER, 61, 1, 7, END]},
  'a requested address of three bytes': {options: [...DISCOVER, 50, 3, 10, 9, 0, END]},
  'a requested address of five bytes': {options: [...DISCOVER, 50, 5, 10, 9, 0, 150, 1, END]},
  'a maximum size of one byte': {options: [...DISCOVER, 57, 1, 9, END]},
  'a maximum size of four bytes': {options: [...DISCOVER, 57, 4, 0, 0, 5, 220, END]},
  'a maximum size of 100': {options: [...DISCOVER, 57, 2, 0, 100, END]},
  'a lease time of two bytes': {options: [...DISCOVER, 51, 2, 14, 16, END]},
  'a server identifier of three bytes': {options: [...DISCOVER, 54, 3, 10, 9, 0, END]},
  'a message type of two bytes': {options: [53, 2, 1, 0, END]},
  'an empty message type': {options: [53, 0, END]},
  'an empty vendor class': {options: [...DISCOVER, 60, 0, END]},
  'an authentication of three bytes': {options: [...DISCOVER, 90, 3, 1, 1, 1, END]},
  'an empty list of nonce algorithms': {options: [...DISCOVER, 145, 0, END]},
  'an option 82 that cannot be read': {options: [...DISCOVER, 82, 3, 1, 9, 1, END]},
  'an empty option 82': {options: [...DISCOVER, 82, 0, END]},
  'a message type in two parts': {options: [53, 0, 53, 1, 1, END]},
  'an end option first': {options: [END, ...DISCOVER, END]},
  'no options at all': {options: []},
}

export function oddPacket(xid: number, {options, file = [], sname = []}: OddPacket): Uint8Array {
  const header = serializeDhcp(relayed(xid, []), {minimum: 0}).subarray(0, DHCP_HEADER_LENGTH)
  const out = new Uint8Array(DHCP_HEADER_LENGTH + options.length)
  out.set(header)
  out.set(options, DHCP_HEADER_LENGTH)
  out.set(file, DHCP_OFFSETS.file)
  out.set(sname, DHCP_OFFSETS.sname)
  return out
}
