// Whether an address answers an ICMP echo by the way that marked packets take: how a gateway is tried before any traffic
// of the VM goes through it.
import {randomBytes} from 'node:crypto'
import {readSync} from 'node:fs'
import {Failure} from '../../errors.ts'
import {isIpv4, writeIpv4} from '../../wire/address.ts'
import {parseIcmp, serializeIcmp} from '../../wire/icmp.ts'
import {readIpv4Header} from '../../wire/ipv4.ts'
import {ipv6Bytes} from '../../wire/ipv6-address.ts'
import {koffi} from '../koffi.ts'
import {errorName, libc} from '../libc.ts'
import {needsNetRaw} from '../packet/privilege.ts'
import {type Watch, watchReadable} from '../packet/readable.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const IPPROTO_ICMP = 1
const IPPROTO_ICMPV6 = 58
const SOL_SOCKET = 1
const SO_BINDTODEVICE = 25
const SO_MARK = 36
const ICMPV6_ECHO_REQUEST = 128
const ICMPV6_ECHO_REPLY = 129

/** ms between the echo requests to one address. */
const INTERVAL_MS = 250

export interface EchoOptions {
  /** Firewall mark of the requests (CAP_NET_ADMIN); policy rules route by it. Default: none. */
  readonly mark?: number
  /** Send out of this interface only. */
  readonly interfaceName?: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export interface EchoResult {
  /** The address that answered first; undefined if none did in time. */
  readonly answered: string | undefined
  /** ms from the first request to the answer, or the whole wait. */
  readonly elapsedMs: number
}

/**
 * Asks every target, again and again, until one answers or the time is over. Resolves; a target that cannot be routed to
 * is one that does not answer.
 *
 * @throws Failure `privilege` without CAP_NET_RAW, or CAP_NET_ADMIN for a mark.
 */
export async function echoAny(targets: readonly string[], options: EchoOptions): Promise<EchoResult> {
  const start = performance.now()
  const {promise, resolve} = Promise.withResolvers<string | undefined>()
  const probes: EchoProbe[] = []
  const timer = setTimeout(() => resolve(undefined), options.timeoutMs)
  const stop = (): void => resolve(undefined)
  if (options.signal?.aborted) stop()
  options.signal?.addEventListener('abort', stop, {once: true})
  try {
    for (const target of targets) probes.push(openProbe(target, options, () => resolve(target)))
    const ask = (): void => {
      for (const probe of probes) probe.ask()
    }
    const repeat = setInterval(ask, INTERVAL_MS)
    ask()
    const answered = await promise.finally(() => clearInterval(repeat))
    return {answered, elapsedMs: performance.now() - start}
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', stop)
    await Promise.all(probes.map((probe) => probe.close()))
  }
}

export interface EchoProbe {
  /** Sends one request; returns its sequence number. */
  ask(): number
  close(): Promise<void>
}

/** A socket of its own for one target; `onAnswer` gets the sequence number of each request that is answered. */
export function openProbe(
  target: string,
  options: Pick<EchoOptions, 'mark' | 'interfaceName'>,
  onAnswer: (sequence: number) => void,
): EchoProbe {
  const version = isIpv4(target) ? 4 : 6
  const fd = probeSocket(version, options)
  // What comes back must carry what only we and who answers can know.
  const secret = randomBytes(16)
  const identifier = secret.readUInt16BE(14)
  const room = Buffer.alloc(2048)
  const address = sockaddr(target)
  let connected = false
  let sequence = 0
  let watch: Watch
  try {
    watch = watchReadable(fd, () => {
      for (;;) {
        let length: number
        try {
          length = readSync(fd, room)
        } catch {
          // EAGAIN, or an ICMP error for the last request: the next one asks again.
          return
        }
        const answered = answeredSequence(version, room.subarray(0, length), identifier, secret)
        if (answered !== undefined) onAnswer(answered)
      }
    })
  } catch (error) {
    libc().close(fd)
    throw error
  }
  return {
    ask() {
      // Connecting asks for a route, and the one of a moment ago may have been refused.
      connected ||= connect()(fd, address, address.length) === 0
      const asked = sequence++ & 0xffff
      const packet = request(version, identifier, asked, secret)
      if (connected) libc().send(fd, packet, packet.length, 0)
      return asked
    },
    async close() {
      await watch.stop()
      libc().close(fd)
    },
  }
}

function probeSocket(version: 4 | 6, {mark, interfaceName}: Pick<EchoOptions, 'mark' | 'interfaceName'>): number {
  const [domain, protocol] = version === 4 ? [AF_INET, IPPROTO_ICMP] : [AF_INET6, IPPROTO_ICMPV6]
  const fd = libc().socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
  if (fd < 0) {
    const error = errorName()
    throw error === 'EPERM' || error === 'EACCES' ? needsNetRaw() : new Failure('runtime', `no ICMP socket: ${error}`)
  }
  const set = (name: number, value: Uint8Array): boolean =>
    libc().setsockopt(fd, SOL_SOCKET, name, value, value.length) === 0
  const little = Buffer.alloc(4)
  little.writeUInt32LE(mark ?? 0)
  const marked = mark === undefined || set(SO_MARK, little)
  if (marked && (interfaceName === undefined || set(SO_BINDTODEVICE, Buffer.from(`${interfaceName}\0`)))) return fd
  const error = errorName()
  libc().close(fd)
  if (error === 'EPERM')
    throw new Failure(
      'privilege',
      'trying a gateway by marked packets needs CAP_NET_ADMIN: run as root or by the systemd unit',
    )
  throw new Failure('runtime', `${interfaceName ?? 'mark'}: ${error}`)
}

/** sockaddr_in, sockaddr_in6. */
function sockaddr(target: string): Buffer {
  const out = Buffer.alloc(isIpv4(target) ? 16 : 28)
  out.writeUInt16LE(isIpv4(target) ? AF_INET : AF_INET6, 0)
  if (isIpv4(target)) writeIpv4(target, out, 4)
  else out.set(ipv6Bytes(target), 8)
  return out
}

function request(version: 4 | 6, identifier: number, sequence: number, secret: Buffer): Uint8Array {
  const echo = {kind: 'echo-request', identifier, sequence, payload: secret} as const
  if (version === 4) return serializeIcmp(echo)
  // ICMPv6 echo (RFC 4443 section 4.1); the kernel fills in the checksum (RFC 3542 section 3.1).
  const out = Buffer.alloc(8 + secret.length)
  out[0] = ICMPV6_ECHO_REQUEST
  out.writeUInt16BE(identifier, 4)
  out.writeUInt16BE(sequence, 6)
  out.set(secret, 8)
  return out
}

/** The sequence number of the request that this answers; undefined if it is no answer to one of ours. */
function answeredSequence(version: 4 | 6, packet: Buffer, identifier: number, secret: Buffer): number | undefined {
  try {
    if (version === 6) {
      const fits =
        packet[0] === ICMPV6_ECHO_REPLY && packet.readUInt16BE(4) === identifier && packet.subarray(8).equals(secret)
      return fits ? packet.readUInt16BE(6) : undefined
    }
    const header = readIpv4Header(packet)
    const message = parseIcmp(packet.subarray(20 + header.options.length))
    const fits = message.kind === 'echo-reply' && message.identifier === identifier && secret.equals(message.payload)
    return fits ? message.sequence : undefined
  } catch {
    return undefined
  }
}

let connectFunction: ((fd: number, address: Uint8Array, length: number) => number) | undefined
const connect = () => {
  connectFunction ??= koffi().load('libc.so.6').func('int connect(int fd, const void *addr, uint32_t len)')
  return connectFunction
}
