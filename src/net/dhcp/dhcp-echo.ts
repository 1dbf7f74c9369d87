// ICMP echo from the kernel's own stack, for addresses behind routers: who answers, uses the address.
import {Failure} from '../../errors.ts'
import {type Ipv4, writeIpv4} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {parseIcmp, serializeIcmp} from '../../wire/icmp.ts'
import {PROTOCOL_ICMP, parseIpv4} from '../../wire/ipv4.ts'
import {errorName, libc} from '../libc.ts'
import {messageBatch} from '../packet/message-batch.ts'
import {needsNetRaw} from '../packet/privilege.ts'
import {watchReadable} from '../packet/readable.ts'

const AF_INET = 2
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
/** raw(7): a bit a type; set bits are not delivered. */
const SOL_RAW = 255
const ICMP_FILTER = 1
const ONLY_ECHO_REPLIES = ~1

export interface EchoSocket {
  /** Sends one echo request; a destination without a route counts as one that does not answer. */
  send(ip: Ipv4, sequence: number): void
  close(): Promise<void>
}

/** Opens a raw ICMP socket and tells of every echo reply with `identifier`. @throws Failure `privilege` without CAP_NET_RAW. */
export function openEchoSocket(identifier: number, onReply: (from: Ipv4) => void): EchoSocket {
  const fd = libc().socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, PROTOCOL_ICMP)
  if (fd < 0) throw errorName() === 'EPERM' ? needsNetRaw() : new Failure('runtime', `ICMP socket: ${errorName()}`)
  const filter = Buffer.alloc(4)
  filter.writeInt32LE(ONLY_ECHO_REPLIES)
  libc().setsockopt(fd, SOL_RAW, ICMP_FILTER, filter, 4)
  const incoming = messageBatch(32, 2048)
  const watch = watchReadable(fd, () => {
    incoming.prepareReceive()
    const count = libc().recvmmsg(fd, incoming.headers, incoming.count, 0, null)
    for (let i = 0; i < count; i++) {
      const from = echoReply(incoming.slot(i).data, identifier)
      if (from !== undefined) onReply(from)
    }
  })
  let closing: Promise<void> | undefined
  return {
    send(ip, sequence) {
      const message = serializeIcmp({kind: 'echo-request', identifier, sequence, payload: new Uint8Array(16)})
      const address = Buffer.alloc(16)
      address.writeUInt16LE(AF_INET, 0)
      writeIpv4(ip, address, 4)
      libc().sendto(fd, message, message.length, 0, address, address.length)
    },
    close() {
      closing ??= watch.stop().then(() => void libc().close(fd))
      return closing
    },
  }
}

/** Who sent it; undefined for what is no reply to us. */
function echoReply(packet: Uint8Array, identifier: number): Ipv4 | undefined {
  return ifWellFormed(() => {
    const {source, payload} = parseIpv4(packet)
    const icmp = parseIcmp(payload)
    return icmp.kind === 'echo-reply' && icmp.identifier === identifier ? source : undefined
  })
}
