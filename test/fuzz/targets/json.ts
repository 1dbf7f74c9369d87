// JSON of other programs: ip(8), bridge(8), the QEMU guest agent, Kea, and who asks our own control socket.

import {parseControlRequest} from '../../../src/domain/dhcp/control.ts'
import {compareTraces} from '../../../src/domain/trace/before-after.ts'
import type {TraceDocument} from '../../../src/domain/trace/report.ts'
import {readHostLinks as readBridgeHost, readNeighbours as readHostNeighbours} from '../../../src/net/bridge-host.ts'
import {readBridgePorts} from '../../../src/net/bridge-ports.ts'
import {readHostLinks} from '../../../src/net/host-links.ts'
import {readNeighbours, readTableGateway} from '../../../src/net/ip.ts'
import {parseNftTables} from '../../../src/net/nft/nft-listing.ts'
import {guestAgent} from '../../../src/net/stream/qga.ts'
import {parseBefore} from '../../../src/orders/trace/read-before.ts'
import {type PeerRequest, readPeerRequest} from '../../../src/services/dhcp/peer-message.ts'
import {CONFIG_GET, LIST_COMMANDS, readKeaAnswer} from '../../../src/strategies/dhcp/backends/kea.ts'
import {
  givenRouter,
  reservedRouter,
  reservedRouters,
  withReservedRouter,
  withReservedRouters,
} from '../../../src/strategies/dhcp/backends/kea-config.ts'
import {ofJson, type Target} from '../target.ts'
import {sample} from './text.ts'

const IPROUTE: readonly Target[] = [
  ofJson({
    name: 'ip neigh',
    corpus: [sample('ip-neigh.json')],
    read: (text) => [readNeighbours(text), readHostNeighbours(text)],
  }),
  ofJson({name: 'ip route match', corpus: [sample('ip-route-match.json')], read: readTableGateway}),
  ofJson({
    name: 'ip link',
    corpus: [sample('ip-link.json')],
    read: (text) => [readBridgePorts(text), readBridgeHost(text, '[]'), readHostLinks(text)],
  }),
  ofJson({
    name: 'nft json',
    corpus: sample('nft-list.txt')
      .split('\n')
      .filter((line) => line.startsWith('{')),
    read: parseNftTables,
  }),
]

/** As much of a trace as another one is compared with. */
const BEFORE = {
  ...{schema: 'gwswitch.trace/2', startedAt: '2026-01-01T00:00:00.000Z'},
  results: [
    {
      ...{host: {ip: '10.1.0.10'}, destination: {ip: '203.0.113.10'}, probe: {proto: 'icmp'}},
      ...{egress: {alternative: 1}, inbound: {verdict: 'local'}},
      candidates: [{mac: '02:00:00:00:0a:02', works: {small: {answered: 1}, syn: {answered: 0}, full: {answered: 1}}}],
      pairs: [{alternative: 1, warmUp: false, currentMs: 20.5, alternativeMs: null}],
    },
  ],
}
const NOTHING: TraceDocument = {
  ...{schema: 'gwswitch.trace/2', startedAt: '', finishedAt: '', durationMs: 0, complete: true, exitCode: 0},
  ...{rate: {perSecond: 25, packetsSent: 0}, results: [], failures: []},
}
const DOCUMENTS: readonly Target[] = [
  ofJson({
    name: 'earlier trace',
    corpus: [JSON.stringify(BEFORE)],
    read: (text) => compareTraces('before.json', parseBefore(text, 'before.json'), NOTHING),
  }),
]

const SIGNAL = new AbortController().signal
/** A guest's agent that answers one after the other, and then the last one again. */
function guest(text: string) {
  const answers: unknown = JSON.parse(text)
  const list = Array.isArray(answers) ? answers : [answers]
  let next = 0
  return guestAgent(
    'vm',
    async () => list[Math.min(next++, list.length - 1)],
    SIGNAL,
    () => {},
  )
}

/** What is no JSON is not for a conversation to read. */
const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const NICS = [
  {
    return: [
      {
        name: 'eth0',
        'hardware-address': '02:00:00:00:00:0A',
        'ip-addresses': [
          {'ip-address': '10.0.0.10', 'ip-address-type': 'ipv4', prefix: 24},
          {'ip-address': 'fe80::ff:fe00:a', 'ip-address-type': 'ipv6', prefix: 64},
        ],
      },
      {name: 'lo'},
    ],
  },
]
const RUN = [
  {return: {pid: 7}},
  {return: {exited: false}},
  {return: {exited: true, exitcode: 0, 'out-data': 'ZGVmYXVsdA==', 'err-data': ''}},
]
const REFUSED = [{error: {class: 'CommandNotFound', desc: 'The command guest-exec has been disabled'}}]

const GUEST: readonly Target[] = [
  ofJson({
    name: 'guest interfaces',
    corpus: [NICS, REFUSED].map((each) => JSON.stringify(each)),
    read: (text) => (isJson(text) ? guest(text).interfaces() : undefined),
  }),
  ofJson({
    name: 'guest program',
    corpus: [RUN, REFUSED].map((each) => JSON.stringify(each)),
    read: (text) => (isJson(text) ? guest(text).run(['ip', 'route'], {timeoutMs: 12}) : undefined),
  }),
]

const CLIENT = {name: 'web-07', ip: '10.0.0.10', mac: '02:00:00:00:00:10'}
const RESERVATION = {
  'hw-address': '02:00:00:00:00:10',
  'ip-address': '10.0.0.10',
  'option-data': [
    {name: 'routers', code: 3, data: '10.0.0.1, 10.0.0.9'},
    {name: 'log-servers', data: '10.0.0.5'},
  ],
}
const SUBNET = {id: 7, subnet: '10.0.0.0/24', reservations: [RESERVATION]}
const KEA_CONFIGS = [
  {subnet4: [SUBNET]},
  {'shared-networks': [{subnet4: [SUBNET]}], reservations: [RESERVATION]},
  {subnet4: [{id: 7, subnet: '10.0.0.0/24'}]},
]

const KEA: readonly Target[] = [
  ofJson({
    name: 'kea config',
    corpus: KEA_CONFIGS.map((Dhcp4) => JSON.stringify({result: 0, arguments: {Dhcp4}})),
    read(text) {
      const {Dhcp4} = readKeaAnswer(text, '/run/kea', 'config-get', CONFIG_GET)
      const changed = withReservedRouter(Dhcp4, CLIENT, '10.0.0.2')
      const back = withReservedRouters(changed, CLIENT, reservedRouters(Dhcp4, CLIENT))
      return [reservedRouter(Dhcp4, CLIENT), givenRouter(Dhcp4, CLIENT), changed, back]
    },
  }),
  ofJson({
    name: 'kea commands',
    corpus: [
      JSON.stringify({result: 0, arguments: ['config-get', 'reservation-update']}),
      '{"result": 1, "text": "no"}',
    ],
    read: (text) => readKeaAnswer(text, '/run/kea', 'list-commands', LIST_COMMANDS).includes('reservation-update'),
  }),
]

const CONTROL = [
  {do: 'relocate', vm: 'web-07', site: 'y', trigger: false},
  {do: 'leases', segment: 'tenant-a', after: 0, limit: 10},
  {do: 'watch'},
]

/** What one DHCP server tells the other of its segment. */
const PEER: PeerRequest = {
  self: {server: '10.0.0.4', segment: 'tenant-a', share: '2/2'},
  told: [
    {
      directive: {
        ...{segment: 'tenant-a', mac: '02:00:00:00:00:10', site: 'y', inventorySite: '', nak: true},
        version: {sequence: 1_800_000_000_000, origin: '10.0.0.4'},
      },
      askSinceMs: 0,
    },
  ],
}

export const JSON_TEXT: readonly Target[] = [
  ...IPROUTE,
  ...DOCUMENTS,
  ...GUEST,
  ...KEA,
  ofJson({
    name: 'control request',
    corpus: CONTROL.map((each) => JSON.stringify(each)),
    read: parseControlRequest,
    write: (order) => JSON.stringify(order),
  }),
  ofJson({
    name: 'dhcp peer',
    corpus: [JSON.stringify(PEER)],
    read: readPeerRequest,
    write: (request) => JSON.stringify(request),
  }),
]
