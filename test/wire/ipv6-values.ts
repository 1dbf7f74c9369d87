// Arbitrary IPv6 addresses and ICMPv6 messages, for round trips.
import fc from 'fast-check'
import type {Icmpv6} from '../../src/wire/icmpv6.ts'
import type {Icmpv6Error} from '../../src/wire/icmpv6-errors.ts'
import {type Ipv6, ipv6Text} from '../../src/wire/ipv6-address.ts'
import type {NdOption} from '../../src/wire/nd-options.ts'
import type {Quoted6} from '../../src/wire/quote6.ts'
import {arbitrary} from '../support/codec-harness.ts'
import {anyExtension} from '../support/wire-values.ts'

const {bytes, mac, u8, u16, u32} = arbitrary

/** With runs of zeros more often than chance would have it. */
export const anyIpv6: fc.Arbitrary<Ipv6> = fc
  .array(fc.oneof(fc.constant(0), u8), {minLength: 16, maxLength: 16})
  .map((octets) => ipv6Text(Uint8Array.from(octets)))

const eights = (fc.nat(4) as fc.Arbitrary<number>).chain((n) => fc.uint8Array({minLength: n * 8, maxLength: n * 8}))

const anyOption: fc.Arbitrary<NdOption> = fc.oneof(
  fc.record({kind: fc.constantFrom('source-link-layer-address' as const, 'target-link-layer-address' as const), mac}),
  fc.record({
    kind: fc.constant('prefix-information' as const),
    prefix: anyIpv6,
    prefixLength: fc.nat(128),
    onLink: fc.boolean(),
    autonomous: fc.boolean(),
    validLifetime: u32,
    preferredLifetime: u32,
  }),
  fc.record({kind: fc.constant('redirected-header' as const), packet: eights}),
  fc.record({kind: fc.constant('mtu' as const), mtu: u32}),
  fc.record({kind: fc.constant('other' as const), type: fc.integer({min: 6, max: 255}), data: bytes(6, 6)}),
)

const options = fc.array(anyOption, {maxLength: 4})

const anyHeader = fc.record({
  trafficClass: u8,
  flowLabel: fc.nat(0xf_ffff),
  nextHeader: u8,
  hopLimit: u8,
  source: anyIpv6,
  destination: anyIpv6,
})

/** A quoted packet, cut or not. */
const anyQuoted: fc.Arbitrary<Quoted6> = fc.oneof(
  fc.record({
    header: fc.tuple(anyHeader, u16).map(([header, payloadLength]) => ({...header, payloadLength})),
    payload: bytes(60),
  }),
  // Too short for a header, or of another version.
  bytes(39).map((payload) => ({payload})),
  bytes(60).map((payload) => ({payload: Uint8Array.of(0x45, ...payload)})),
)

/** A quoted packet that an extension structure can follow: one that says where it ends, or needs no filling. */
const anyFilledQuoted: fc.Arbitrary<Quoted6> = fc.oneof(
  fc.tuple(anyHeader, bytes(200)).map(([header, payload]) => ({
    header: {...header, payloadLength: payload.length},
    payload,
  })),
  eights.map((payload) => ({payload: Uint8Array.of(...new Uint8Array(128).fill(0x45), ...payload)})),
)

const quoting = fc.oneof(
  fc.record({quoted: anyQuoted, extensions: fc.constant([])}),
  fc.record({quoted: anyFilledQuoted, extensions: fc.array(anyExtension, {minLength: 1, maxLength: 4})}),
)

const anyError: fc.Arbitrary<Icmpv6Error> = fc.oneof(
  fc
    .tuple(fc.constantFrom('destination-unreachable' as const, 'time-exceeded' as const), u8, quoting)
    .map(([kind, code, body]) => ({kind, code, ...body})),
  fc.record({kind: fc.constant('packet-too-big' as const), code: u8, mtu: u32, quoted: anyQuoted}),
  fc.record({kind: fc.constant('parameter-problem' as const), code: u8, pointer: u32, quoted: anyQuoted}),
)

export const anyIcmpv6: fc.Arbitrary<Icmpv6> = fc.oneof(
  anyError,
  fc.record({
    kind: fc.constantFrom('echo-request' as const, 'echo-reply' as const),
    identifier: u16,
    sequence: u16,
    payload: bytes(40),
  }),
  fc.record({kind: fc.constant('router-solicitation' as const), options}),
  fc.record({
    kind: fc.constant('router-advertisement' as const),
    currentHopLimit: u8,
    managed: fc.boolean(),
    otherConfiguration: fc.boolean(),
    preference: fc.constantFrom('low' as const, 'medium' as const, 'high' as const),
    routerLifetime: u16,
    reachableTime: u32,
    retransmitTimer: u32,
    options,
  }),
  fc.record({kind: fc.constant('neighbour-solicitation' as const), target: anyIpv6, options}),
  fc.record({
    kind: fc.constant('neighbour-advertisement' as const),
    router: fc.boolean(),
    solicited: fc.boolean(),
    override: fc.boolean(),
    target: anyIpv6,
    options,
  }),
  fc.record({kind: fc.constant('redirect' as const), target: anyIpv6, destination: anyIpv6, options}),
  fc.record({
    kind: fc.constant('other' as const),
    type: fc.constantFrom(5, 100, 130, 143),
    code: u8,
    rest: bytes(40, 4),
  }),
  fc.record({
    kind: fc.constant('other' as const),
    type: fc.constantFrom(128, 135),
    code: fc.integer({min: 1, max: 255}),
    rest: bytes(40, 4),
  }),
)
