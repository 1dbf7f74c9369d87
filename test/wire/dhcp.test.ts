import {describe, expect, it} from 'vitest'
import {
  BOOTREPLY,
  BOOTREQUEST,
  DHCP_HEADER_LENGTH,
  DHCP_OFFSETS,
  type Dhcp,
  HTYPE_ETHERNET,
  parseDhcp,
  serializeDhcp,
} from '../../src/wire/dhcp.ts'
import {
  DHCPACK,
  DHCPDISCOVER,
  DHCPOFFER,
  DHCPRELEASE,
  DHCPREQUEST,
  dhcpOptions,
  readOption,
  writeOption,
} from '../../src/wire/dhcp-options.ts'
import {goldenOf, udpPayloadOf} from '../support/captures.ts'
import {describeCodec} from '../support/codec-harness.ts'
import {anyDhcp} from '../support/wire-values.ts'

const from = (name: string) => goldenOf([name], (frame) => udpPayloadOf(frame, 67))

/** Room for everything that an arbitrary message holds. */
const MAXIMUM = 4000

describeCodec({
  name: 'dhcp',
  parse: parseDhcp,
  serialize: (message) => serializeDhcp(message, {maximum: MAXIMUM}),
  golden: [...from('dhcpcd'), ...from('udhcpc')],
  arbitrary: anyDhcp,
  minimum: DHCP_HEADER_LENGTH,
  settles: 'option 82 is written last, wherever it was (RFC 3046 2.1)',
})

const MESSAGE: Dhcp = {
  op: BOOTREPLY,
  htype: HTYPE_ETHERNET,
  hops: 0,
  xid: 0x1234_5678,
  secs: 0,
  flags: 0,
  ciaddr: '0.0.0.0',
  yiaddr: '10.0.0.10',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: '02:00:00:00:00:10',
  sname: '',
  file: '',
  options: [writeOption(dhcpOptions.messageType, DHCPACK)],
}

const option = (code: number, length: number, fill = code) => ({code, data: new Uint8Array(length).fill(fill)})
const outOfRange = expect.objectContaining({reason: 'out-of-range'})

describe('dhcp', () => {
  it('reads a lease from DISCOVER to RELEASE, dhcpcd and dnsmasq', () => {
    const messages = from('dhcpcd').map(({bytes}) => parseDhcp(bytes))
    const types = messages.map(({options}) => readOption(options, dhcpOptions.messageType))
    expect(types).toEqual([DHCPDISCOVER, DHCPOFFER, DHCPREQUEST, DHCPACK, DHCPREQUEST, DHCPACK, DHCPRELEASE])
    const [discover, , request, ack, renewal, renewed] = messages as [Dhcp, Dhcp, Dhcp, Dhcp, Dhcp, Dhcp]
    expect(discover).toMatchObject({op: BOOTREQUEST, htype: 1, chaddr: '02:00:00:00:00:01', ciaddr: '0.0.0.0'})
    expect(ack).toMatchObject({op: BOOTREPLY, siaddr: '10.0.0.1', xid: request.xid})
    expect(renewal.ciaddr).toBe(ack.yiaddr)
    expect(renewal.xid).not.toBe(request.xid)
    expect(renewed.xid).toBe(renewal.xid)
  })

  it('reads the options of an ACK as what they mean', () => {
    const {options} = parseDhcp(from('dhcpcd')[3]!.bytes)
    expect(readOption(options, dhcpOptions.serverIdentifier)).toBe('10.0.0.1')
    expect(readOption(options, dhcpOptions.leaseTime)).toBe(120)
    expect(readOption(options, dhcpOptions.renewalTime)).toBe(6)
    expect(readOption(options, dhcpOptions.rebindingTime)).toBe(90)
    expect(readOption(options, dhcpOptions.subnetMask)).toBe('255.255.255.0')
    expect(readOption(options, dhcpOptions.broadcastAddress)).toBe('10.0.0.255')
    expect(readOption(options, dhcpOptions.router)).toEqual(['10.0.0.1'])
    expect(readOption(options, dhcpOptions.domainNameServer)).toEqual(['10.0.0.53', '10.0.0.54'])
    expect(readOption(options, dhcpOptions.domainName)).toBe('site-x.example')
    expect(readOption(options, dhcpOptions.domainSearch)).toEqual(['site-x.example', 'example'])
    expect(readOption(options, dhcpOptions.interfaceMtu)).toBe(1450)
    expect(readOption(options, dhcpOptions.classlessStaticRoute)).toEqual([
      {prefix: {address: '0.0.0.0', length: 0}, router: '10.0.0.1'},
      {prefix: {address: '203.0.113.0', length: 24}, router: '10.0.0.2'},
    ])
    expect(readOption(options, dhcpOptions.hostName)).toBeUndefined()
  })

  it('reads what a client asks for, and that it takes a FORCERENEW nonce', () => {
    const {options} = parseDhcp(from('dhcpcd')[0]!.bytes)
    expect(readOption(options, dhcpOptions.parameterRequestList)).toEqual(expect.arrayContaining([1, 3, 6, 51, 121]))
    expect(readOption(options, dhcpOptions.maximumMessageSize)).toBe(1472)
    expect(readOption(options, dhcpOptions.forcerenewNonceCapable)).toEqual([1])
    expect(readOption(options, dhcpOptions.clientIdentifier)![0]).toBe(255)
  })

  it('fills up to 300 bytes, or as asked', () => {
    expect(serializeDhcp(MESSAGE)).toHaveLength(300)
    expect(serializeDhcp(MESSAGE, {minimum: 0})).toHaveLength(DHCP_HEADER_LENGTH + 3 + 1)
  })

  it('reads chaddr by hlen, and writes it into 16 bytes', () => {
    for (const [chaddr, hlen] of [
      ['', 0],
      ['02', 1],
      ['02:00:00:00:00:10', 6],
      ['00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f', 16],
    ] as const) {
      const bytes = serializeDhcp({...MESSAGE, chaddr})
      expect(bytes[DHCP_OFFSETS.hlen]).toBe(hlen)
      expect(bytes.slice(DHCP_OFFSETS.chaddr + hlen, DHCP_OFFSETS.sname)).toEqual(new Uint8Array(16 - hlen))
      expect(parseDhcp(bytes).chaddr).toBe(chaddr)
    }
  })

  it.each([
    ['hlen above 16', DHCP_OFFSETS.hlen, 17, 'malformed', DHCP_OFFSETS.hlen],
    ['a message without the magic cookie', DHCP_OFFSETS.cookie, 0, 'unsupported', DHCP_OFFSETS.cookie],
  ])('refuses %s', (_what, at, value, reason, offset) => {
    const bytes = serializeDhcp(MESSAGE)
    bytes[at] = value
    expect(() => parseDhcp(bytes)).toThrow(expect.objectContaining({layer: 'dhcp', reason, offset}))
  })

  it.each([
    ['chaddr', {chaddr: '00:'.repeat(16).concat('11')}],
    ['chaddr', {chaddr: '0200.0000.0001'}],
    ['sname', {sname: 'x'.repeat(65)}],
    ['file', {file: 'ŵ'}],
    ['file', {file: 'a\0b'}],
    ['option 0', {options: [option(0, 1)]}],
    ['option 52', {options: [option(52, 1, 0)]}],
    ['option 52', {options: [option(52, 1, 4)]}],
    ['option 52', {options: [option(52, 2, 1)]}],
    ['option 255', {options: [option(255, 1)]}],
    ['overload of a field with text', {options: [option(52, 1, 1)], file: 'pxelinux.0'}],
    ['option in a field with text', {options: [{...option(3, 4), field: 'sname' as const}], sname: 'boot'}],
    ['option in too small a field', {options: [{...option(3, 64), field: 'sname' as const}]}],
    ['options that fit nowhere', {options: [1, 2, 3, 4].map((code) => option(code, 200))}],
  ])('has no bytes for a bad %s', (_field, change) => {
    expect(() => serializeDhcp({...MESSAGE, ...change})).toThrow(outOfRange)
  })
})

describe('dhcp long options (RFC 3396)', () => {
  it('are split into parts of 255 bytes, and joined again', () => {
    const long = {code: 121, data: Uint8Array.from({length: 600}, (_, i) => i)}
    const bytes = serializeDhcp({...MESSAGE, options: [long]}, {maximum: MAXIMUM, minimum: 0})
    const parts = [DHCP_HEADER_LENGTH, DHCP_HEADER_LENGTH + 257, DHCP_HEADER_LENGTH + 514]
    expect(parts.map((at) => [bytes[at], bytes[at + 1]])).toEqual([
      [121, 255],
      [121, 255],
      [121, 90],
    ])
    expect(parseDhcp(bytes).options).toEqual([long])
  })

  it('are joined across other options and fields, in the order options, file, sname', () => {
    const bytes = serializeDhcp({
      ...MESSAGE,
      options: [
        {code: 12, data: Uint8Array.of(1)},
        {code: 15, data: Uint8Array.of(9)},
        {code: 12, data: Uint8Array.of(3), field: 'sname'},
        {code: 12, data: Uint8Array.of(2), field: 'file'},
      ],
    })
    expect(parseDhcp(bytes).options).toEqual([
      {code: 12, data: Uint8Array.of(1, 2, 3)},
      {code: 15, data: Uint8Array.of(9)},
      {code: 52, data: Uint8Array.of(3)},
    ])
  })
})

describe('dhcp option overload (RFC 2132 9.3)', () => {
  it('is read from what dnsmasq sends to a client that takes 576 bytes', () => {
    const {options, file, sname} = parseDhcp(from('udhcpc')[1]!.bytes)
    expect(readOption(options, dhcpOptions.overload)).toBe(3)
    expect([file, sname]).toEqual(['', ''])
    const inFile = options.filter(({field}) => field === 'file')
    expect(readOption(inFile, dhcpOptions.router)).toEqual(['10.0.0.1'])
    expect(readOption(inFile, dhcpOptions.domainNameServer)).toEqual(['10.0.0.53', '10.0.0.54'])
    expect(readOption(inFile, dhcpOptions.domainName)).toBe('site-x.example')
    expect(readOption(options, dhcpOptions.ntpServers)).toHaveLength(45)
  })

  it('is used where the options do not fit, file first, and only where these are free', () => {
    const options = [option(53, 1, DHCPACK), option(6, 200), option(42, 120), option(3, 40), option(15, 50)]
    const bytes = serializeDhcp({...MESSAGE, options})
    expect(bytes.length).toBeLessThanOrEqual(548)
    const read = parseDhcp(bytes)
    expect(readOption(read.options, dhcpOptions.overload)).toBe(1)
    expect(read.options.map(({code, field}) => [code, field])).toEqual([
      [53, undefined],
      [6, undefined],
      [3, undefined],
      [15, undefined],
      [52, undefined],
      [42, 'file'],
    ])
    expect(() => serializeDhcp({...MESSAGE, file: 'pxelinux.0', options})).toThrow(outOfRange)
    expect(serializeDhcp({...MESSAGE, file: 'pxelinux.0', options}, {maximum: 1472}).length).toBeGreaterThan(548)
    const more = parseDhcp(serializeDhcp({...MESSAGE, options: [...options, option(66, 29), option(67, 29)]}))
    expect(readOption(more.options, dhcpOptions.overload)).toBe(3)
    expect(more.options.find(({code}) => code === 67)?.field).toBe('sname')
  })

  it.each<[string, number[], number[], string[]]>([
    ['a value of 0', [52, 1, 0, 255], [12, 1, 97], []],
    ['a value of 4', [52, 1, 4, 255], [12, 1, 97], []],
    ['no value', [52, 0, 255], [12, 1, 97], []],
    ['a byte too many', [52, 2, 2, 0, 255], [12, 1, 97, 255], ['52: 2', '12: 97']],
    ['another one behind it', [52, 1, 2, 52, 1, 1, 255], [12, 1, 97, 255], ['52: 2', '12: 97']],
    ['another one in the field', [52, 1, 2, 255], [52, 1, 1, 12, 1, 97, 255], ['52: 2', '12: 97']],
    ['no end option in the field', [52, 1, 2, 255], [12, 1, 97], ['52: 2', '12: 97']],
    ['an option that runs over the field', [52, 1, 2, 255], [12, 1, 97, 15, 62], ['52: 2', '12: 97']],
  ])('is read with %s', (_what, field, sname, want) => {
    const bytes = new Uint8Array([...serializeDhcp(MESSAGE).subarray(0, DHCP_HEADER_LENGTH), ...field])
    bytes.set(sname, DHCP_OFFSETS.sname)
    const {options} = parseDhcp(bytes)
    expect(options.map(({code, data}) => `${code}: ${data}`)).toEqual(want)
    expect(parseDhcp(serializeDhcp(parseDhcp(bytes))).options).toEqual(options)
  })
})

describe('a dhcp options field', () => {
  it('in sname may be full to its last byte', () => {
    const bytes = serializeDhcp({...MESSAGE, options: [option(52, 1, 2)]})
    bytes.set([12, 62, ...Array(62).fill(97)], DHCP_OFFSETS.sname)
    expect(parseDhcp(bytes).options.map(({code, data}) => [code, data.length])).toEqual([
      [52, 1],
      [12, 62],
    ])
  })

  it.each<[string, number[], string[]]>([
    ['without an end option', [12, 1, 97], ['12: 97']],
    ['filled up with zeros', [12, 1, 97, 0, 0, 0], ['12: 97']],
    ['with pad options between', [0, 12, 1, 97, 0, 0, 15, 1, 98, 255], ['12: 97', '15: 98']],
    ['with rubbish behind its end', [12, 1, 97, 255, 15, 200, 1], ['12: 97']],
    ['whose last option is cut', [12, 1, 97, 15, 9, 98], ['12: 97']],
    ['whose last option has no length', [12, 1, 97, 15], ['12: 97']],
    ['with an end option first', [255, 12, 1, 97], []],
    ['of no byte', [], []],
  ])('%s is read up to there', (_what, field, want) => {
    const bytes = new Uint8Array([...serializeDhcp(MESSAGE).subarray(0, DHCP_HEADER_LENGTH), ...field])
    expect(parseDhcp(bytes).options.map(({code, data}) => `${code}: ${data}`)).toEqual(want)
  })
})

describe('dhcp option 82 (RFC 3046 2.1)', () => {
  const relay = option(82, 6)

  it('comes last, wherever it stands in the list', () => {
    const bytes = serializeDhcp({...MESSAGE, options: [relay, ...MESSAGE.options]}, {minimum: 0})
    expect([...bytes.slice(-9)]).toEqual([82, 6, 82, 82, 82, 82, 82, 82, 255])
    expect(parseDhcp(bytes).options).toEqual([...MESSAGE.options, relay])
  })

  it('stays in the options field when others leave it, last too', () => {
    const options = [relay, option(6, 200), option(42, 120), option(15, 90)]
    const read = parseDhcp(serializeDhcp({...MESSAGE, options}))
    expect(read.options.map(({code, field}) => [code, field])).toEqual([
      [6, undefined],
      [15, undefined],
      [52, undefined],
      [82, undefined],
      [42, 'file'],
    ])
    expect(() => serializeDhcp({...MESSAGE, options: [option(82, 320)]})).toThrow(outOfRange)
  })
})
