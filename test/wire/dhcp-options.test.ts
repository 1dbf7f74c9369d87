import fc from 'fast-check'
import {describe, expect, it} from 'vitest'
import {
  DHCPACK,
  DHCPFORCERENEW,
  type DhcpOptionCodec,
  dhcpMessageTypeName,
  dhcpOptions,
  readOption,
  writeOption,
} from '../../src/wire/dhcp-options.ts'
import {WireError} from '../../src/wire/error.ts'
import {arbitrary} from '../support/codec-harness.ts'

const {ipv4, u8, u16, u32} = arbitrary
const text = fc.string({minLength: 1, maxLength: 60, unit: 'grapheme'}).filter((value) => !value.endsWith('\0'))
const addresses = fc.array(ipv4, {minLength: 1, maxLength: 5})
const bytes = fc.uint8Array({maxLength: 20})

interface Row<T> {
  readonly codec: DhcpOptionCodec<T>
  readonly value: T
  readonly hex: string
  readonly any: fc.Arbitrary<T>
  /** Hex of data that is no such value. */
  readonly bad: readonly string[]
}

const row = <T>(
  codec: DhcpOptionCodec<T>,
  value: T,
  hex: string,
  any: fc.Arbitrary<T>,
  ...bad: string[]
): Row<unknown> => ({codec, value, hex, any, bad}) as unknown as Row<unknown>

const {
  subnetMask,
  router,
  domainNameServer,
  hostName,
  domainName,
  interfaceMtu,
  broadcastAddress,
  staticRoute,
  ntpServers,
  requestedAddress,
  leaseTime,
  overload,
  messageType,
  serverIdentifier,
  parameterRequestList,
  message,
  maximumMessageSize,
  renewalTime,
  rebindingTime,
  vendorClassIdentifier,
  clientIdentifier,
  tftpServerName,
  bootfileName,
  relayAgentInformation,
  authentication,
  domainSearch,
  classlessStaticRoute,
  microsoftClasslessStaticRoute,
  forcerenewNonceCapable,
} = dhcpOptions

const routes = fc.array(fc.record({destination: ipv4, router: ipv4}), {minLength: 1, maxLength: 3})
const relay = fc.array(fc.record({code: u8, data: bytes}), {maxLength: 3})
const numbers = fc.array(u8, {maxLength: 20})
const auth = fc.record({
  protocol: u8,
  algorithm: u8,
  replayMethod: u8,
  replay: fc.bigInt({min: 0n, max: 2n ** 64n - 1n}),
  information: bytes,
})
const masked = fc.tuple(u32, fc.nat(32)).map(([value, length]) => {
  const kept = length === 0 ? 0 : (value & (~0 << (32 - length))) >>> 0
  return {address: [24, 16, 8, 0].map((shift) => (kept >>> shift) & 0xff).join('.'), length}
})
const classless = fc.array(fc.record({prefix: masked, router: ipv4}), {minLength: 1, maxLength: 4})

const ROWS: Row<unknown>[] = [
  row(subnetMask, '255.255.255.0', 'ffffff00', ipv4, '', 'ffffff', 'ffffff0000'),
  row(router, ['10.0.0.1', '10.0.0.2'], '0a0000010a000002', addresses, '', '0a0000', '0a00000100'),
  row(domainNameServer, ['10.0.0.53'], '0a000035', addresses, ''),
  row(hostName, 'web-07', '7765622d3037', text),
  row(domainName, 'müller.example', '6dc3bc6c6c65722e6578616d706c65', text),
  row(interfaceMtu, 1450, '05aa', u16, '', '05', '0005aa'),
  row(broadcastAddress, '10.0.0.255', '0a0000ff', ipv4, ''),
  row(staticRoute, [{destination: '192.0.2.1', router: '10.0.0.1'}], 'c00002010a000001', routes, '', 'c0000201'),
  row(ntpServers, ['10.0.0.60'], '0a00003c', addresses, ''),
  row(requestedAddress, '10.0.0.10', '0a00000a', ipv4, ''),
  row(leaseTime, 0xffff_ffff, 'ffffffff', u32, '', 'ffff', 'ffffffffff'),
  row(overload, 3, '03', u8, '', '0300'),
  row(messageType, DHCPACK, '05', u8, '', '0505'),
  row(serverIdentifier, '10.0.0.3', '0a000003', ipv4, ''),
  row(parameterRequestList, [1, 3, 6], '010306', numbers),
  row(message, 'wrong network', '77726f6e67206e6574776f726b', text),
  row(maximumMessageSize, 1472, '05c0', u16, ''),
  row(renewalTime, 3600, '00000e10', u32, ''),
  row(rebindingTime, 6300, '0000189c', u32, ''),
  row(vendorClassIdentifier, 'udhcp 1.35.0', '756468637020312e33352e30', text),
  row(clientIdentifier, Uint8Array.of(1, 2, 0, 0, 0, 0, 16), '01020000000010', bytes),
  row(tftpServerName, 'boot', '626f6f74', text),
  row(bootfileName, 'pxelinux.0', '7078656c696e75782e30', text),
  row(
    relayAgentInformation,
    [
      {code: 1, data: Uint8Array.of(0x61, 0x62)},
      {code: 2, data: new Uint8Array(0)},
    ],
    '010261620200',
    relay,
    '01',
    '0103aabb',
  ),
  row(
    authentication,
    {protocol: 3, algorithm: 1, replayMethod: 0, replay: 7n, information: Uint8Array.of(2, 0xaa)},
    '030100000000000000000702aa',
    auth,
    '',
    '03010000000000000000',
  ),
  row(
    domainSearch,
    ['a.example', 'example'],
    '0161076578616d706c6500c002',
    fc.array(fc.constantFrom('example', 'a.example', 'b.a.example'), {minLength: 1, maxLength: 4}),
    '0161',
    '00',
  ),
  row(
    classlessStaticRoute,
    [
      {prefix: {address: '0.0.0.0', length: 0}, router: '10.0.0.1'},
      {prefix: {address: '10.17.0.0', length: 16}, router: '0.0.0.0'},
      {prefix: {address: '10.229.0.128', length: 25}, router: '10.229.0.1'},
    ],
    '000a000001100a1100000000190ae500800ae50001',
    classless,
    '',
    '210a0000010a000001',
    '180a00000a0000',
  ),
  row(
    microsoftClasslessStaticRoute,
    [{prefix: {address: '0.0.0.0', length: 0}, router: '10.0.0.1'}],
    '000a000001',
    classless,
    '',
    '210a0000010a000001',
  ),
  row(forcerenewNonceCapable, [1], '01', numbers),
]

describe.each(ROWS.map((one) => [`${one.codec.code} ${one.codec.name}`, one] as const))('option %s', (_name, one) => {
  const {codec, value, hex, any, bad} = one
  const data = Uint8Array.from(Buffer.from(hex, 'hex'))

  it('reads and writes its bytes', () => {
    expect(codec.read(data)).toEqual(value)
    expect(codec.write(value)).toEqual(data)
  })

  it('reads back whatever it writes', () => {
    fc.assert(
      fc.property(any, (other) => {
        expect(codec.read(codec.write(other))).toEqual(other)
      }),
    )
  })

  it('answers any data with a value or a WireError, and shares no memory with it', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 40}), (input) => {
        let read: unknown
        try {
          read = codec.read(input)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
          return
        }
        const again = codec.read(input.slice())
        input.fill(0xa5)
        expect(read).toEqual(again)
      }),
    )
  })

  it.each(bad.map((each) => [each]))('refuses %j', (wrong) => {
    expect(() => codec.read(Uint8Array.from(Buffer.from(wrong, 'hex')))).toThrow(WireError)
  })
})

describe('dhcp options', () => {
  it('are all in the table above', () => {
    expect(ROWS.map(({codec}) => codec)).toEqual(Object.values(dhcpOptions))
    expect(new Set(ROWS.map(({codec}) => codec.code)).size).toBe(ROWS.length)
  })

  it('are found in a list, or not', () => {
    const options = [writeOption(messageType, DHCPACK), writeOption(router, ['10.0.0.1'])]
    expect(readOption(options, router)).toEqual(['10.0.0.1'])
    expect(readOption(options, leaseTime)).toBeUndefined()
  })

  it('lose the NULs that some clients put behind text, and mark what is no UTF-8', () => {
    expect(hostName.read(Uint8Array.of(0x76, 0x6d, 0, 0))).toBe('vm')
    expect(hostName.read(new Uint8Array(3))).toBe('')
    expect(hostName.read(Uint8Array.of(0x76, 0xff))).toBe('v\ufffd')
  })

  it('clear the bits behind a prefix (RFC 3442)', () => {
    const data = Uint8Array.of(20, 10, 0, 0x1f, 10, 0, 0, 1)
    expect(classlessStaticRoute.read(data)[0]!.prefix).toEqual({address: '10.0.16.0', length: 20})
  })

  it.each([
    ['an empty list of addresses', () => router.write([])],
    ['an empty list of routes', () => classlessStaticRoute.write([])],
    ['an empty text', () => hostName.write('')],
    ['a number too large', () => leaseTime.write(2 ** 32)],
    ['a number too large', () => interfaceMtu.write(65_536)],
    ['a number too large', () => messageType.write(256)],
    ['a code too large', () => parameterRequestList.write([256])],
    [
      'a replay of 65 bits',
      () =>
        authentication.write({
          protocol: 3,
          algorithm: 1,
          replayMethod: 0,
          replay: 1n << 64n,
          information: new Uint8Array(0),
        }),
    ],
    ['a sub-option too long', () => relayAgentInformation.write([{code: 1, data: new Uint8Array(256)}])],
    [
      'a prefix longer than an address',
      () => classlessStaticRoute.write([{prefix: {address: '10.0.0.0', length: 33}, router: '10.0.0.1'}]),
    ],
  ])('have no bytes for %s', (_what, write) => {
    expect(write).toThrow(expect.objectContaining({reason: 'out-of-range'}))
  })

  it('name the message types', () => {
    expect(dhcpMessageTypeName(DHCPFORCERENEW)).toBe('DHCPFORCERENEW')
    expect(dhcpMessageTypeName(1)).toBe('DHCPDISCOVER')
    expect(dhcpMessageTypeName(42)).toBe('type 42')
  })
})
