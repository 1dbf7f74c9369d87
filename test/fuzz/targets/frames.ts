// Who looks at frames of strangers: probes, guards, the DHCP client's watch. They may see anything.
import {readRequest} from '../../../src/domain/dhcp/request.ts'
import {shimFrame} from '../../../src/domain/dhcp/shim-frame.ts'
import {hear} from '../../../src/domain/init/heard.ts'
import {CODECS} from '../../../src/probe/trace/codecs.ts'
import {readEchoAnswer} from '../../../src/probe/trace/echo-probe.ts'
import {readSighting} from '../../../src/probe/vm-watch.ts'
import {readClaim, readRouterClaim} from '../../../src/strategies/arp/claims.ts'
import {readClientSighting} from '../../../src/strategies/dhcp/client-watch.ts'
import {readClientSighting6} from '../../../src/strategies/dhcp/client-watch6.ts'
import {parseDhcp} from '../../../src/wire/dhcp.ts'
import {parseEthernetHeader} from '../../../src/wire/ethernet.ts'
import {parseHsrp, parseVrrp} from '../../../src/wire/fhrp-hello.ts'
import {parseFrame} from '../../../src/wire/frames.ts'
import {viewPacket} from '../../../src/wire/packet-view.ts'
import {udpPayloadOf} from '../../support/captures.ts'
import {HSRP, VRRP2, VRRP3} from '../../support/fhrp-hellos.ts'
import {FRAMES, partsOf} from '../corpus.ts'
import {repairFrame} from '../repair.ts'
import {ofBytes, type Target} from '../target.ts'

const ECHO = {gatewayIp: '10.0.0.1', identifier: 7}
const SEGMENT = {address: '10.0.0.0', length: 24}
const received = (bytes: Uint8Array) => ({bytes, timestampNs: 0n, packetType: 'host' as const})

const ofFrames = (name: string, read: (frame: Uint8Array) => unknown): Target =>
  ofBytes({name, corpus: () => FRAMES, read, repair: repairFrame})

/** Every client is a VM, and every router in the captures the other site's. */
const VM = {
  ...{name: 'vm', mac: '02:00:00:00:00:10', ip: '10.0.0.10', segment: 'lan', local: ['10.0.0.2']},
  foreign: new Set(['10.0.0.1', '10.9.0.1', '10.9.0.2']),
}
const SHIM = {
  site: 'y',
  vms: {get: () => VM} as unknown as ReadonlyMap<string, typeof VM>,
  interSite: [],
  leftOut: [],
  pollS: 9,
}

/** What a shim sends on reads as a frame where what it got did, and says all that it said but for what it changes. */
function shimmed(bytes: Uint8Array): unknown {
  const {frame, verdict} = shimFrame(bytes, 1500, SHIM)
  if (verdict.kind === 'unchanged') return verdict.reason
  const [before, after] = [bytes, frame].map((each) => parseFrame(each))
  if (before?.kind !== 'udp' || after?.kind !== 'udp') throw new Error('a changed frame is no datagram any more')
  const [was, is] = [before, after].map(({udp}) => {
    const {options, ...header} = parseDhcp(udp.payload)
    return JSON.stringify([header, options.filter(({code}) => ![3, 58, 59, 121, 249].includes(code))])
  })
  if (was !== is) throw new Error(`${was} became ${is}`)
  return verdict.changes
}

export const LOOKERS: readonly Target[] = [
  ofFrames('frame', parseFrame),
  ofFrames('packet view', viewPacket),
  // Whoever sent it is the VM that is looked for, so that more than its MAC is looked at.
  ofFrames('sighting', (bytes) => {
    const {source: mac, vlan} = parseEthernetHeader(bytes)
    return ['10.0.0.10', 'fd00::10'].map((ip) => readSighting(received(bytes), {ip, mac, vlan}, ECHO, SEGMENT))
  }),
  ofFrames('echo answer', (bytes) =>
    readEchoAnswer(bytes, {source: '10.0.0.10', destination: '203.0.113.10', identifier: 1}),
  ),
  ofFrames('trace probes', (bytes) =>
    CODECS.map((codec) => codec.read(bytes, {mac: '02:00:00:00:00:10', ip: '10.0.0.10'})),
  ),
  ofFrames('probe answer', (bytes) =>
    ['10.0.0.10', '2001:db8:1::10'].map((ip) =>
      CODECS.map((codec) => codec.read(bytes, {mac: '02:00:00:00:00:10', ip})),
    ),
  ),
  ofFrames('claim', (bytes) => [readClaim(bytes, '10.0.0.1'), readClaim(bytes, 'fe80::1'), readRouterClaim(bytes)]),
  ofFrames('dhcp sighting', (bytes) => [readClientSighting(received(bytes)), readClientSighting(received(bytes), 10)]),
  ofFrames('dhcpv6 sighting', (bytes) => readClientSighting6(received(bytes))),
  ofFrames('what init hears', hear),
  ofBytes({name: 'vrrp hello', corpus: () => [Uint8Array.from(VRRP3), Uint8Array.from(VRRP2)], read: parseVrrp}),
  ofBytes({name: 'hsrp hello', corpus: () => [Uint8Array.from(HSRP)], read: parseHsrp}),
  ofFrames('dhcp shim', shimmed),
  ofBytes({
    name: 'dhcp request',
    corpus: () => partsOf((frame) => udpPayloadOf(frame, 67) ?? udpPayloadOf(frame, 68)),
    read: (bytes) => readRequest(parseDhcp(bytes), '255.255.255.255'),
  }),
]
