// What other programs print, log and write to files.
import {readFileSync} from 'node:fs'
import {parseAgentConfig} from '../../../src/domain/agent/config.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {parseNftTables} from '../../../src/net/nft/nft-listing.ts'
import {gatewayOf, readDefaultRoutes, throughGateway} from '../../../src/strategies/agent/guest-route.ts'
import {dnsmasqLine} from '../../../src/strategies/dhcp/backends/dnsmasq.ts'
import {routerIn, routerLines, withLines, withRouter} from '../../../src/strategies/dhcp/backends/dnsmasq-options.ts'
import {iscReader} from '../../../src/strategies/dhcp/backends/isc.ts'
import {iscHost, iscRouter} from '../../../src/strategies/dhcp/backends/isc-leases.ts'
import {keaLine} from '../../../src/strategies/dhcp/backends/kea.ts'
import {parseNonceFile} from '../../../src/strategies/dhcp/nonce-file.ts'
import {prefixText, readMac, readPrefix} from '../../../src/wire/address.ts'
import {endpointText, readEndpoint} from '../../../src/wire/endpoint.ts'
import {readIpv6} from '../../../src/wire/ipv6-address.ts'
import {INVENTORY} from '../../support/inventory.ts'
import {ofText, type Target} from '../target.ts'

/** What was recorded by samples/record.sh. */
export const sample = (name: string): string => readFileSync(new URL(`../samples/${name}`, import.meta.url), 'utf8')

const VALUES: readonly Target[] = [
  ofText({
    name: 'mac',
    corpus: ['02:00:00:00:0a:01', '02-00-00-00-0A-01', '0200.0000.0a01'],
    read: readMac,
    write: (mac) => mac ?? '',
  }),
  ofText({
    name: 'prefix',
    corpus: ['10.0.0.0/24'],
    read: readPrefix,
    write: (prefix) => (prefix ? prefixText(prefix) : ''),
  }),
  ofText({
    name: 'ipv6 address',
    corpus: ['2001:DB8::1', '::ffff:10.0.0.1', 'fe80:0:0:1::'],
    read: readIpv6,
    write: (ip) => ip ?? '',
  }),
  ofText({
    name: 'endpoint',
    corpus: ['10.0.0.1:6743', '[fd00::1]:6743', 'fd00::1'],
    read: (text) => readEndpoint(text, 6743),
    write: (endpoint) => (endpoint ? endpointText(endpoint) : ''),
  }),
]

const DNSMASQ_LOG = 'Nov 24 07:43:28 dnsmasq-dhcp[3671]: 3614863685 DHCPACK(eth0) 10.0.0.10 02:00:00:00:00:10 web'
const KEA_LOG =
  '2026-11-24 07:52:41.310 INFO  [kea-dhcp4.leases/22710.140] DHCP4_LEASE_ALLOC [hwtype=1 02:00:00:00:00:10], cid=[01:02], tid=0xd7768805: lease 10.9.0.10 has been allocated for 3600 seconds'
const ISC_LOG = 'gwswitch request 2:0:0:0:0:10 xid 6d1a2b3c\nDHCPACK on 10.0.0.10 to 02:00:00:00:00:10 via eth0'
const OPTIONS_FILE = '# mine\ntag:web-07,option:router,10.0.0.1\ntag:db-03,3,10.0.0.1\n'
const LEASES_FILE =
  'host web-07 {\n  dynamic;\n  hardware ethernet 02:00:00:00:00:10;\n  fixed-address 10.0.0.10;\n        supersede routers = 0a:00:00:01;\n}\nhost old {\n  dynamic;\n  deleted;\n}\n'
const NONCES = '# mine\n02:00:00:00:00:10 49f5494a9392438406bc35804a6f7342  # web-07\n'

const SERVERS: readonly Target[] = [
  ofText({
    name: 'dhcp server log',
    corpus: [DNSMASQ_LOG, KEA_LOG, ISC_LOG],
    read(text) {
      const isc = iscReader()
      return text.split('\n').map((line) => [dnsmasqLine(line), keaLine(line), isc(line)])
    },
  }),
  ofText({
    // Set to a router, it has that router; set once more, it stays as it is.
    name: 'dnsmasq options file',
    corpus: [OPTIONS_FILE],
    read: (text) => withRouter(text, 'web-07', routerIn(text, 'web-07') ?? '10.0.0.2'),
    write: (text) => text,
  }),
  ofText({
    // Set to another router and put back, it is what it was.
    name: 'dnsmasq options file, put back',
    corpus: [OPTIONS_FILE],
    read: (text) => withLines(withRouter(text, 'web-07', '10.0.0.2'), 'web-07', routerLines(text, 'web-07')),
    write: (text) => text,
  }),
  ofText({
    name: 'dhcpd leases file',
    corpus: [LEASES_FILE],
    read(text) {
      const host = iscHost(text, '02:00:00:00:00:10')
      return host && [host, iscRouter(host)]
    },
  }),
  ofText({
    name: 'nonce file',
    corpus: [NONCES],
    read: (text) => parseNonceFile(text, 'nonces').of('02:00:00:00:00:10'),
  }),
]

const ROUTES = [4, 6].map((family) => sample(`ip-${family}-route.txt`))

const PROGRAMS: readonly Target[] = [
  ofText({name: 'nft listing', corpus: [sample('nft-list.txt')], read: parseNftTables}),
  ofText({
    name: 'ip route',
    corpus: ROUTES,
    read: (text) =>
      ([4, 6] as const).map((family) => [
        gatewayOf(text),
        readDefaultRoutes(text, family).map((route) => throughGateway(route, '10.0.0.9')),
      ]),
  }),
]

const AGENT_YAML = `version: 1
vm: web-07
trusted:
  site-y: {key: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, gateways: [10.0.0.2, "FD00::2"]}
`

const CONFIGURATION: readonly Target[] = [
  ofText({name: 'inventory', corpus: [INVENTORY], read: (text) => parseInventory(text, 'gwswitch.yaml')}),
  ofText({name: 'agent configuration', corpus: [AGENT_YAML], read: (text) => parseAgentConfig(text, 'agent.yaml')}),
]

export const TEXT: readonly Target[] = [...VALUES, ...SERVERS, ...PROGRAMS, ...CONFIGURATION]
