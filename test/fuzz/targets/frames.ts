// Who looks at frames of strangers: probes, guards, the DHCP client's watch. They may see anything.
import {readRequest} from '../../../src/domain/dhcp/request.ts'
import {CODECS} from '../../../src/probe/trace/codecs.ts'
import {readEchoAnswer} from '../../../src/probe/trace/echo-probe.ts'
import {readSighting} from '../../../src/probe/vm-watch.ts'
import {readClaim, readRouterClaim} from '../../../src/strategies/arp/claims.ts'
import {readClientSighting} from '../../../src/strategies/dhcp/client-watch.ts'
import {readClientSighting6} from '../../../src/strategies/dhcp/client-watch6.ts'
import {parseDhcp} from '../../../src/wire/dhcp.ts'
import {parseEthernetHeader} from '../../../src/wire/ethernet.ts'
import {parseFrame} from '../../../src/wire/frames.ts'
import {viewPacket} from '../../../src/wire/packet-view.ts'
import {udpPayloadOf} from '../../support/captures.ts'
import {FRAMES, partsOf} from '../corpus.ts'
import {repairFrame} from '../repair.ts'
import {ofBytes, type Target} from '../target.ts'

const ECHO = {gatewayIp: '10.0.0.1', identifier: 7}
const SEGMENT = {address: '10.0.0.0', length: 24}
const received = (bytes: Uint8Array) => ({bytes, timestampNs: 0n, packetType: 'host' as const})

const ofFrames = (name: string, read: (frame: Uint8Array) => unknown): Target =>
  ofBytes({name, corpus: () => FRAMES, read, repair: repairFrame})

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
  ofBytes({
    name: 'dhcp request',
    corpus: () => partsOf((frame) => udpPayloadOf(frame, 67) ?? udpPayloadOf(frame, 68)),
    read: (bytes) => readRequest(parseDhcp(bytes), '255.255.255.255'),
  }),
]
