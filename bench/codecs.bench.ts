// Codec speed against the npm package `dhcp` 0.2.20 (lib/protocol.js, lib/seqbuffer.js), measured in one process, in
// interleaved rounds. Exits 1 if any ratio is below the budget.
//
// Both sides do the same work: header fields as numbers and text, six options as typed values. `dhcp` has no ARP; its
// side of that comparison is an ARP codec written with its buffer class.
import {createRequire} from 'node:module'
import {ARP_LENGTH, ARP_REPLY, type Arp, parseArp, serializeArp} from '../src/wire/arp.ts'
import {BOOTREPLY, type Dhcp, parseDhcp, serializeDhcp} from '../src/wire/dhcp.ts'
import {DHCPACK, dhcpOptions, readOption, writeOption} from '../src/wire/dhcp-options.ts'

const BUDGET = 3
const ROUNDS = 101
const ROUND_NS = 2e6

/** The part of `dhcp`'s lib/seqbuffer.js that is used here. */
interface SeqBuffer {
  readonly _data: Buffer
  _r: number
  _w: number
  getUInt8(): number
  getUInt16(): number
  getIP(): string
  getMAC(htype: number, hlen: number): string
  addUInt8(value: number): void
  addUInt16(value: number): void
  addIP(value: string): void
  addMac(value: string): void
}

interface Protocol {
  parse(bytes: Buffer): object
  format(message: object): SeqBuffer
}

const require = createRequire(import.meta.url)
const protocol = require('dhcp/lib/protocol.js') as Protocol
const SeqBuffer = require('dhcp/lib/seqbuffer.js') as new (data: Buffer | null, size?: number) => SeqBuffer

/** Packets of so many hosts take turns, so that neither side sees the same bytes twice in a row. */
const HOSTS = 64
const hosts = Array.from({length: HOSTS}, (_, i) => ({
  ip: `10.0.0.${10 + i}`,
  mac: `02:00:00:00:00:${(16 + i).toString(16)}`,
}))

const OPTIONS = {
  messageType: DHCPACK,
  serverIdentifier: '10.0.0.3',
  leaseTime: 3600,
  subnetMask: '255.255.255.0',
  router: ['10.0.0.1'],
  domainNameServer: ['10.0.0.53', '10.0.0.54'],
}

const headers: readonly Omit<Dhcp, 'options'>[] = hosts.map(({ip, mac}, i) => ({
  op: BOOTREPLY,
  htype: 1,
  hops: 0,
  xid: 0x1234_5678 + i,
  secs: 0,
  flags: 0,
  ciaddr: '0.0.0.0',
  yiaddr: ip,
  siaddr: '10.0.0.3',
  giaddr: '0.0.0.0',
  chaddr: mac,
  sname: '',
  file: '',
}))

function serializeAck(header: Omit<Dhcp, 'options'>, values: typeof OPTIONS): Uint8Array {
  const {messageType, serverIdentifier, leaseTime, subnetMask, router, domainNameServer} = dhcpOptions
  const options = [
    writeOption(messageType, values.messageType),
    writeOption(serverIdentifier, values.serverIdentifier),
    writeOption(leaseTime, values.leaseTime),
    writeOption(subnetMask, values.subnetMask),
    writeOption(router, values.router),
    writeOption(domainNameServer, values.domainNameServer),
  ]
  return serializeDhcp({...header, options})
}

function parseAck(bytes: Uint8Array): object {
  const message = parseDhcp(bytes)
  const {options} = message
  return {
    message,
    messageType: readOption(options, dhcpOptions.messageType),
    serverIdentifier: readOption(options, dhcpOptions.serverIdentifier),
    leaseTime: readOption(options, dhcpOptions.leaseTime),
    subnetMask: readOption(options, dhcpOptions.subnetMask),
    router: readOption(options, dhcpOptions.router),
    domainNameServer: readOption(options, dhcpOptions.domainNameServer),
  }
}

const theirAcks = headers.map((header) => ({
  ...header,
  hlen: 6,
  options: {
    53: OPTIONS.messageType,
    54: OPTIONS.serverIdentifier,
    51: OPTIONS.leaseTime,
    1: OPTIONS.subnetMask,
    3: OPTIONS.router,
    6: OPTIONS.domainNameServer,
  },
}))

const arps: readonly Arp[] = hosts.map(({ip, mac}) => ({
  operation: ARP_REPLY,
  senderMac: '02:00:00:00:0a:01',
  senderIp: '10.0.0.1',
  targetMac: mac,
  targetIp: ip,
}))

/** Bytes by which SeqBuffer's MAC field is longer than a MAC: it is DHCP's `chaddr`. */
const CHADDR_REST = 10

function theirParseArp(bytes: Buffer): object {
  const buffer = new SeqBuffer(bytes)
  const address = () => {
    const mac = buffer.getMAC(1, 6)
    buffer._r -= CHADDR_REST
    return mac
  }
  return {
    hardwareType: buffer.getUInt16(),
    protocolType: buffer.getUInt16(),
    hardwareLength: buffer.getUInt8(),
    protocolLength: buffer.getUInt8(),
    operation: buffer.getUInt16(),
    senderMac: address(),
    senderIp: buffer.getIP(),
    targetMac: address(),
    targetIp: buffer.getIP(),
  }
}

function theirSerializeArp(value: Arp): Buffer {
  const buffer = new SeqBuffer(null, ARP_LENGTH + CHADDR_REST)
  const address = (mac: string) => {
    buffer.addMac(mac)
    buffer._w -= CHADDR_REST
  }
  buffer.addUInt16(1)
  buffer.addUInt16(0x0800)
  buffer.addUInt8(6)
  buffer.addUInt8(4)
  buffer.addUInt16(value.operation)
  address(value.senderMac)
  buffer.addIP(value.senderIp)
  address(value.targetMac)
  buffer.addIP(value.targetIp)
  return buffer._data.subarray(0, ARP_LENGTH)
}

const arpBytes = arps.map(serializeArp)
const ackBytes = headers.map((header) => serializeAck(header, OPTIONS))
const arpBuffers = arpBytes.map((bytes) => Buffer.from(bytes))
const ackBuffers = ackBytes.map((bytes) => Buffer.from(bytes))

/** Calls `run` with one of its inputs after another. */
function inTurn<T>(inputs: readonly T[], run: (input: T) => unknown): () => unknown {
  let next = 0
  return () => {
    next = (next + 1) % HOSTS
    return run(inputs[next]!)
  }
}

const CONTESTS = [
  {name: 'ARP parse', ours: inTurn(arpBytes, parseArp), theirs: inTurn(arpBuffers, theirParseArp)},
  {name: 'ARP serialize', ours: inTurn(arps, serializeArp), theirs: inTurn(arps, theirSerializeArp)},
  {name: 'DHCPACK parse', ours: inTurn(ackBytes, parseAck), theirs: inTurn(ackBuffers, protocol.parse)},
  {
    name: 'DHCPACK serialize',
    ours: inTurn(headers, (header) => serializeAck(header, OPTIONS)),
    theirs: inTurn(theirAcks, protocol.format),
  },
]

/** Refuses to time two sides that do not say the same. */
function compareResults(): void {
  for (const [i, bytes] of ackBytes.entries()) {
    const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
    if (!same(theirSerializeArp(arps[i]!), arpBytes[i]!)) throw new Error(`ARP ${i} differs`)
    // Their options are in ascending order, since they are keys of an object; the rest is the same bytes.
    const theirs = protocol.format(theirAcks[i]!)
    const length = bytes.lastIndexOf(255) + 1
    if (theirs._w !== length || !same(theirs._data.subarray(0, 240), bytes.subarray(0, 240))) {
      throw new Error(`DHCPACK ${i} differs`)
    }
    if (bytes.length !== 300) throw new Error(`the DHCPACK has ${bytes.length} bytes, not 300`)
  }
}

let sink: unknown

/**
 * Nanoseconds of processor time a call, garbage collection and all threads included. Processor time, not the clock: on a
 * machine that does other things too the clock measures those.
 */
function time(run: () => unknown, calls: number): number {
  const start = process.cpuUsage()
  for (let i = 0; i < calls; i++) sink = run()
  const {user, system} = process.cpuUsage(start)
  return ((user + system) * 1000) / calls
}

interface Side {
  readonly run: () => unknown
  readonly calls: number
  /** What a call took, one entry a round. */
  readonly rounds: number[]
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

function contest({name, ours, theirs}: (typeof CONTESTS)[number]): number {
  const sides = [ours, theirs].map((run) => {
    time(run, 20_000)
    return {run, calls: Math.ceil(ROUND_NS / time(run, 20_000)), rounds: [] as number[]}
  }) as [Side, Side]
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) side.rounds.push(time(side.run, side.calls))
  }
  const [our, their] = sides.map((side) => median(side.rounds)) as [number, number]
  // Round by round, so that a busy machine slows both sides of a ratio.
  const ratio = median(sides[0].rounds.map((ns, round) => sides[1].rounds[round]! / ns))
  const cells = [our.toFixed(0).padStart(8), their.toFixed(0).padStart(8), `${ratio.toFixed(1)}x`.padStart(6)]
  console.log(`${name.padEnd(18)} ${cells.join('  ')}  ${ratio >= BUDGET ? 'ok' : `below ${BUDGET}x`}`)
  return ratio
}

compareResults()
console.log(`codecs, median of ${ROUNDS} rounds, budget ${BUDGET}x\n`)
console.log(
  `${''.padEnd(18)} ${['ours ns', 'dhcp ns'].map((head) => head.padStart(8)).join('  ')}  ${'ratio'.padStart(6)}`,
)
const ratios = CONTESTS.map(contest)
if (sink === undefined || ratios.some((ratio) => ratio < BUDGET)) process.exitCode = 1
