// What tcpdump(8) captures of one migration, with the kernel's timestamps, as packets of the VM.
import type {ChildProcess} from 'node:child_process'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {SeenPacket, SeenSegment} from '../../domain/evaluation/measure.ts'
import {Failure} from '../../errors.ts'
import {spawnIn} from '../../net/process/netns.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  type EthernetHeader,
  ethernetLength,
  parseEthernetHeader,
} from '../../wire/ethernet.ts'
import {ipv4Length, PROTOCOL_ICMP, PROTOCOL_TCP, readIpv4Header} from '../../wire/ipv4.ts'
import {IPV6_LENGTH, NEXT_HEADER_ICMPV6, readIpv6Header} from '../../wire/ipv6.ts'
import type {Ipv6} from '../../wire/ipv6-address.ts'
import {parsePcap} from '../../wire/pcap.ts'
import {labEnvironment} from '../processes.ts'
import {type LabSite, namespaceOf, SITES} from '../topology.ts'

type Where = SeenPacket['where']

/** An interface that is captured at, in a node of the lab. */
export interface CapturePlace {
  /** A port that the VM keeps when it moves is that of both sites. */
  readonly where: Where | 'port'
  readonly node: string
  readonly interface: string
  /** Of a gateway's leg: only what is for it counts as seen there. */
  readonly mac?: Mac
}

/** Who is who in what was captured. */
export interface Cast {
  readonly vm: {readonly mac: Mac; readonly ip: Ipv4; readonly ip6: Ipv6 | undefined}
  readonly users: Readonly<Record<LabSite, {readonly ip: Ipv4; readonly ip6: Ipv6 | undefined}>>
  /** Of the listeners that the VM counts on to, by what they are for. */
  readonly ports: Readonly<Record<'plain' | 'nat', number>>
}

export interface Captured {
  readonly ipv4: readonly SeenPacket[]
  readonly ipv6: readonly SeenPacket[]
  readonly plain: readonly SeenSegment[]
  readonly nat: readonly SeenSegment[]
  /** What the kernel could not keep for tcpdump, of all places. */
  readonly dropped: number
}

export interface Captures {
  /** Ends them, and reads them by the clock of RESUME, ms since 1970. `from`, `to`: of the VM. */
  read(resumedMs: number, from: LabSite, to: LabSite): Promise<Captured>
  stop(): Promise<void>
}

/** Enough for a second of everything here. */
const BUFFER_KIB = '8192'

/** Resolves when all of them capture. @throws Failure `runtime` where tcpdump does not. */
export async function startCaptures(
  prefix: string,
  folder: string,
  places: readonly CapturePlace[],
  cast: Cast,
): Promise<Captures> {
  const file = ({where}: CapturePlace): string => join(folder, `${where}.pcap`)
  const started = places.map((place) => {
    const filter = place.where.startsWith('user')
      ? `icmp or icmp6 or tcp port ${cast.ports.plain} or tcp port ${cast.ports.nat}`
      : `ether host ${cast.vm.mac} and (ip or ip6)`
    const options = ['-n', '-Z', 'root', '-B', BUFFER_KIB, '--time-stamp-precision=nano', '-i', place.interface]
    // What waits in the kernel for more of it is gone when tcpdump is ended.
    const argv = ['tcpdump', '--immediate-mode', ...options, '-w', file(place), filter]
    const env = {...process.env, ...labEnvironment(prefix)}
    const child = spawnIn(namespaceOf(prefix, place.node), argv, {stdio: ['ignore', 'ignore', 'pipe'], env})
    return {place, child, said: saidBy(child)}
  })
  const end = async (): Promise<void> => {
    for (const {child} of started) child.kill('SIGINT')
    await Promise.all(started.map(({child}) => ended(child)))
  }
  try {
    await Promise.all(started.map(({child, said}) => listening(child, said)))
  } catch (error) {
    await end()
    throw error
  }
  return {
    stop: end,
    async read(resumedMs, from, to) {
      await end()
      const read = started.map(({place}) => readCapture(readFileSync(file(place)), place, cast, {resumedMs, from, to}))
      const all = <T>(of: (one: PartialCapture) => readonly T[]): readonly T[] => read.flatMap(of)
      return {
        ipv4: all(({ipv4}) => ipv4),
        ipv6: all(({ipv6}) => ipv6),
        plain: all(({plain}) => plain),
        nat: all(({nat}) => nat),
        dropped: started.reduce((sum, {said}) => sum + droppedBy(said()), 0),
      }
    },
  }
}

type PartialCapture = Omit<Captured, 'dropped'>

function saidBy(child: ChildProcess): () => string {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk
  })
  return () => said
}

async function listening(child: ChildProcess, said: () => string): Promise<void> {
  const {promise, resolve, reject} = Promise.withResolvers<void>()
  child.stderr?.on('data', () => said().includes('listening on') && resolve())
  const failed = (): void =>
    reject(new Failure('runtime', `lab run: tcpdump does not capture: ${said().trim().split('\n').at(-1) ?? ''}`))
  child.once('exit', failed).once('error', failed)
  await promise
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close').catch(() => {})
}

const droppedBy = (said: string): number => Number(/(\d+) packets dropped by kernel/.exec(said)?.[1] ?? 0)

interface Clock {
  readonly resumedMs: number
  readonly from: LabSite
  readonly to: LabSite
}

function readCapture(
  bytes: Uint8Array,
  place: Pick<CapturePlace, 'where' | 'mac'>,
  cast: Cast,
  {resumedMs, from, to}: Clock,
): PartialCapture {
  const [ipv4, ipv6, plain, nat]: [SeenPacket[], SeenPacket[], SeenSegment[], SeenSegment[]] = [[], [], [], []]
  for (const {bytes: frame, timestamp} of parsePcap(bytes).frames) {
    const atMs = Number(timestamp - BigInt(Math.round(resumedMs * 1e6))) / 1e6
    const where = place.where === 'port' ? (`port-${atMs < 0 ? from : to}` as const) : place.where
    const ethernet = parseEthernetHeader(frame)
    // A bridge floods what it has not learned: that is not for this one.
    if (place.mac !== undefined && ![ethernet.source, ethernet.destination].includes(place.mac)) continue
    const packet = frame.subarray(ethernetLength(ethernet))
    const read = readPacket(ethernet, packet)
    if (read === undefined) continue
    if (read.protocol === PROTOCOL_TCP && where.startsWith('user')) {
      for (const [port, into] of [
        [cast.ports.plain, plain],
        [cast.ports.nat, nat],
      ] as const) {
        const segment = readSegment(read, port, atMs)
        if (segment) into.push(segment)
      }
      continue
    }
    const direction = directionOf(read, cast)
    if (direction === undefined) continue
    const echo = echoOf(read, direction, cast)
    // What a method itself asks and hears, probes of a new gateway above all, is no traffic of the VM's.
    if (echo === undefined && !isCounted(read, cast)) continue
    ;(read.version === 4 ? ipv4 : ipv6).push({atMs, where, direction, echo})
  }
  return {ipv4, ipv6, plain, nat}
}

interface ReadPacket {
  readonly version: 4 | 6
  readonly source: string
  readonly destination: string
  readonly protocol: number
  readonly payload: Uint8Array
}

/** Checksums are not looked at: those of what a kernel sends itself are made behind the capture. */
function readPacket({etherType}: EthernetHeader, packet: Uint8Array): ReadPacket | undefined {
  if (etherType === ETHERTYPE_IPV4) {
    const ip = readIpv4Header(packet)
    return {version: 4, ...ip, payload: packet.subarray(ipv4Length(ip), ip.totalLength)}
  }
  if (etherType !== ETHERTYPE_IPV6) return undefined
  const ip = readIpv6Header(packet)
  return {version: 6, ...ip, protocol: ip.nextHeader, payload: packet.subarray(IPV6_LENGTH)}
}

function directionOf({source, destination}: ReadPacket, {vm}: Cast): SeenPacket['direction'] | undefined {
  const own = (ip: string): boolean => ip === vm.ip || ip === vm.ip6
  return own(source) ? 'from-vm' : own(destination) ? 'to-vm' : undefined
}

const ECHOES = {
  'to-vm': {[PROTOCOL_ICMP]: 8, [NEXT_HEADER_ICMPV6]: 128},
  'from-vm': {[PROTOCOL_ICMP]: 0, [NEXT_HEADER_ICMPV6]: 129},
} as const

function echoOf(
  {protocol, payload, source, destination}: ReadPacket,
  direction: SeenPacket['direction'],
  {users}: Cast,
): SeenPacket['echo'] {
  const type = (ECHOES[direction] as Readonly<Record<number, number>>)[protocol]
  if (type === undefined || payload.length < 8 || payload[0] !== type) return undefined
  const whose = direction === 'to-vm' ? source : destination
  const user = SITES.find((site) => users[site].ip === whose || users[site].ip6 === whose)
  return user && {user, number: (payload[6]! << 8) | payload[7]!}
}

const isCounted = ({protocol, payload}: ReadPacket, {ports}: Cast): boolean =>
  protocol === PROTOCOL_TCP &&
  payload.length >= 4 &&
  [0, 2].some((at) => Object.values(ports).includes((payload[at]! << 8) | payload[at + 1]!))

/** RFC 9293 section 3.1. */
function readSegment({source, destination, payload}: ReadPacket, port: number, atMs: number): SeenSegment | undefined {
  if (payload.length < 20) return undefined
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  const [from, to] = [view.getUint16(0), view.getUint16(2)]
  if (from !== port && to !== port) return undefined
  const flags = payload[13]!
  const ends = (flags & 0b101) !== 0
  const sequence = view.getUint32(4)
  if (from === port) return {atMs, peer: `${destination}:${to}`, sequence, opens: false, ends, payload: ''}
  const text = Buffer.from(payload.subarray((payload[12]! >> 4) * 4)).toString('latin1')
  return {atMs, peer: `${source}:${from}`, sequence, opens: (flags & 0b10) !== 0, ends, payload: text}
}
