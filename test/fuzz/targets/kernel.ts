// What the kernel and SQLite lay down as bytes.
import {rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {threadId} from 'node:worker_threads'
import {readRecord, writeRecord} from '../../../src/lab/session-record.ts'
import {inspectWal} from '../../../src/net/file/sqlite-wal.ts'
import {parseInterface, parseLocalAddress} from '../../../src/net/netlink/interface-message.ts'
import {parseFdb, parseNeighbour} from '../../../src/net/netlink/neighbour-message.ts'
import {attribute, netlinkMessages, parseError, request, u32} from '../../../src/net/netlink/netlink-message.ts'
import {NFLOG_PACKET, parseLogged} from '../../../src/net/netlink/nflog-message.ts'
import {
  deleteRoute,
  inOwnTable,
  isNotifyPeers,
  parseAddress,
  parseDefaultRoute,
  parseLink,
  sameTraits,
  viaGateway,
} from '../../../src/net/netlink/route-message.ts'
import {parseAnswer, parsePrefixRoute} from '../../../src/net/netlink/route-query.ts'
import {addRule, parseRule} from '../../../src/net/netlink/rule-message.ts'
import {controlMessages} from '../../../src/net/packet/message-batch.ts'
import {ofBytes, type Target} from '../target.ts'

const join4 = (...parts: readonly (readonly number[] | Uint8Array)[]): Buffer =>
  Buffer.concat(parts.map((part) => Buffer.from(part)))
const MAC = [2, 0, 0, 0, 0, 0x10]

/** default via 10.0.0.1 dev 2 proto dhcp src 10.0.0.10 metric 100 mtu lock 1400. */
const ROUTE = join4(
  [2, 0, 0, 0, 254, 16, 0, 1, 0x10, 0, 0, 0],
  attribute(15, u32(254)),
  attribute(6, u32(100)),
  attribute(8, join4(attribute(1, u32(4)), attribute(2, u32(1400)))),
  attribute(7, Uint8Array.of(10, 0, 0, 10)),
  attribute(5, Uint8Array.of(10, 0, 0, 1)),
  attribute(4, u32(2)),
)
/** default via fe80::1 dev 2 proto ra metric 1024 expires 1800. */
const ROUTE6 = join4(
  [10, 0, 0, 0, 254, 9, 0, 1, 0, 0, 0, 0],
  attribute(15, u32(254)),
  attribute(6, u32(1024)),
  attribute(5, Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)),
  attribute(4, u32(2)),
  attribute(12, join4(u32(0), u32(0), u32(180_000), new Uint8Array(20))),
)
const [RULE] = netlinkMessages(
  addRule({family: 4, priority: 5, table: 142, mark: {value: 1, mask: 0xff, not: true}, suppressPrefixLength: 0}),
)
/** from 10.0.0.0/24 uidrange 1000-1999 ipproto tcp dport 443 iif eth0 lookup 100, with a part of each kind. */
const SELECTING = join4(
  [2, 0, 24, 0, 100, 0, 0, 1, 0, 0, 0, 0],
  attribute(2, Uint8Array.of(10, 0, 0, 0)),
  attribute(3, Buffer.from('eth0\0')),
  attribute(20, join4(u32(1000), u32(1999))),
  attribute(22, Uint8Array.of(6)),
  attribute(24, Uint8Array.of(0xbb, 1, 0xbb, 1)),
)
const HOPS = join4([16, 0, 0, 0, 2, 0, 0, 0], attribute(5, Uint8Array.of(10, 0, 0, 1)))
const ANSWER = join4(
  [2, 32, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0],
  attribute(7, Uint8Array.of(10, 0, 0, 10)),
  attribute(9, HOPS),
)
const PREFIX = join4(
  [2, 24, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0],
  attribute(1, Uint8Array.of(203, 0, 113, 0)),
  attribute(9, HOPS),
)
const LINK = join4(
  [0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0],
  attribute(3, Buffer.from('eth0\0')),
  attribute(1, Uint8Array.from(MAC)),
  attribute(44, u32(4)),
)
/** A port of the bridge with index 7. */
const PORT = join4(
  LINK,
  attribute(4, u32(1500)),
  attribute(10, u32(7)),
  attribute(18, join4(attribute(1, Buffer.from('veth\0')), attribute(4, Buffer.from('bridge\0')))),
)
const ADDRESS = join4([2, 24, 0x80, 0, 2, 0, 0, 0], attribute(1, Uint8Array.of(10, 0, 0, 10)))
const NEIGHBOUR = join4(
  [2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 1],
  attribute(1, Uint8Array.of(10, 0, 0, 1)),
  attribute(2, Uint8Array.from(MAC)),
)
const LEARNED = join4(
  [7, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0],
  attribute(2, Uint8Array.from(MAC)),
  attribute(5, Uint8Array.of(7, 0)),
  attribute(9, u32(7)),
)
/** NLMSG_ERROR: EEXIST, the header of the request, the kernel's words. */
const REFUSED = join4(u32(-17), new Uint8Array(16), attribute(1, Buffer.from('File exists\0')))

/** A frame of the bridge, tagged, on its way out of the port with index 4. */
const LOGGED = join4(
  [7, 0, 0x67, 0x77],
  attribute(7, Uint8Array.of(0, 0, 0, 4)),
  attribute(20, join4(attribute(1, Uint8Array.of(0x81, 0)), attribute(2, Uint8Array.of(0, 10)))),
  attribute(21, Uint8Array.of(...MAC, ...MAC, 8, 0)),
  attribute(9, Uint8Array.of(0x45, 0, 0, 20)),
)

const body = (name: string, sample: Uint8Array, read: (bytes: Buffer) => unknown): Target =>
  ofBytes({name: `netlink ${name}`, corpus: () => [sample], read: (bytes) => read(Buffer.from(bytes))})

const NETLINK: readonly Target[] = [
  ofBytes({
    name: 'netlink messages',
    corpus: () => [join4(request(24, 0, ROUTE), request(24, 0, ROUTE6)), request(2, 0, REFUSED)],
    read: (bytes) => [...netlinkMessages(Buffer.from(bytes))].map(({body}) => body.length),
  }),
  ofBytes({
    name: 'netlink route',
    corpus: () => [ROUTE, ROUTE6],
    read(bytes) {
      const route = parseDefaultRoute(Buffer.from(bytes))
      if (!route) return undefined
      const gateway = route.family === 4 ? '10.0.0.9' : 'fd00::9'
      inOwnTable(route, 142, gateway)
      return sameTraits(route, viaGateway(route, gateway)) ? route : route
    },
    write: (route) => (route ? ([...netlinkMessages(deleteRoute(route))][0]?.body ?? ROUTE) : new Uint8Array(0)),
    settles: 'flags that only the kernel sets are not written, and a lifetime becomes another attribute',
  }),
  body('rule', RULE!.body, parseRule),
  body('rule of the VM', SELECTING, parseRule),
  body('answer to a question for a route', ANSWER, parseAnswer),
  body('route to a prefix', PREFIX, parsePrefixRoute),
  body('link', LINK, (bytes) => [parseLink(bytes), isNotifyPeers(bytes)]),
  body('interface', PORT, parseInterface),
  body('address', ADDRESS, (bytes) => [parseAddress(bytes), parseLocalAddress(bytes)]),
  body('logged frame', LOGGED, (bytes) => parseLogged({type: NFLOG_PACKET, body: bytes})),
  body('neighbour', NEIGHBOUR, parseNeighbour),
  body('entry of a bridge', LEARNED, parseFdb),
  body('error', REFUSED, (bytes) => parseError({type: 2, flags: 0, sequence: 1, body: bytes})),
]

/** cmsg(3): in_pktinfo of the DHCP socket, and an ancillary block of another length. */
const CONTROL = join4(
  [28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 3, 10, 0, 0, 3, 0, 0, 0, 0],
  [20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 35, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0],
)

const PAGE = 512
/** A log with a header and one frame that holds page 1; `repairWal` writes its checksums. */
const WAL = join4(
  [0x37, 0x7f, 0x06, 0x82, 0, 0x2d, 0xe2, 0x18, 0, 0, PAGE >>> 8, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
  new Uint8Array(8),
  [0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8],
  new Uint8Array(8 + PAGE),
)

/** The header's checksum made right, so that its page size counts. */
function repairWal(bytes: Uint8Array): Uint8Array {
  // Not by slice, which of a Buffer would be no copy.
  const out = Uint8Array.from(bytes)
  if (out.length < 32) return out
  out.set([0x37, 0x7f, 0x06])
  const view = new DataView(out.buffer)
  const little = (out[3]! & 1) === 0
  let [a, b] = [0, 0]
  for (let at = 0; at < 24; at += 8) {
    a = (a + view.getUint32(at, little) + b) | 0
    b = (b + view.getUint32(at + 4, little) + a) | 0
  }
  view.setInt32(24, a)
  view.setInt32(28, b)
  return out
}

/** Through a file, which is what is looked at; none stays, for the thread may end at any time. */
function inspected(bytes: Uint8Array) {
  const file = join(tmpdir(), `gwswitch-fuzz-${process.pid}-${threadId}.wal`)
  try {
    writeFileSync(file, bytes)
    return inspectWal(file)
  } finally {
    rmSync(file, {force: true})
  }
}

export const KERNEL: readonly Target[] = [
  ...NETLINK,
  ofBytes({
    name: 'control messages',
    corpus: () => [CONTROL],
    read: (bytes) => [...controlMessages(Buffer.from(bytes))].map(({data}) => data.length),
  }),
  ofBytes({name: 'sqlite wal', corpus: () => [repairWal(WAL)], read: inspected, repair: repairWal}),
  ofBytes({name: 'session record', corpus: () => [writeRecord(7, 1234.5)], read: readRecord}),
]
