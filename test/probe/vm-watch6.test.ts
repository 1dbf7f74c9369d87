// What a frame of a VM's IPv6 tells of the gateway it goes to.
import {expect, it} from 'vitest'
import {readSighting} from '../../src/probe/vm-watch.ts'
import {type Icmpv6, icmpv6Frame} from '../../src/wire/icmpv6.ts'

const VM = {ip: '2001:db8:1::10', mac: '02:00:00:00:01:10'}
const TOWARDS = {source: VM.mac, destination: '02:00:00:00:0b:02'}
const FAR = '2001:db8:2::1'
const SEGMENT = {address: '10.1.0.0', length: 24}

const neighbour = {target: FAR, options: []}
const CASES: readonly {message: Icmpv6; tells: string | undefined}[] = [
  {message: {kind: 'neighbour-solicitation', ...neighbour}, tells: undefined},
  {
    message: {kind: 'neighbour-advertisement', router: false, solicited: true, override: true, ...neighbour},
    tells: undefined,
  },
  {message: {kind: 'router-solicitation', options: []}, tells: undefined},
  {message: {kind: 'echo-request', identifier: 1, sequence: 1, payload: new Uint8Array(8)}, tells: 'traffic'},
]

it.each(CASES)('reads a $message.kind to an address off the segment as $tells', ({message, tells}) => {
  const bytes = icmpv6Frame(TOWARDS, {source: VM.ip, destination: FAR}, message)
  const echo = {gatewayIp: FAR, identifier: 7}
  expect(readSighting({bytes, timestampNs: 0n, packetType: 'host'}, VM, echo, SEGMENT)?.kind).toBe(tells)
})
