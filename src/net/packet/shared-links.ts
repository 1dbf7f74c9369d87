// One packet socket for many VMs at an interface. Opening and closing one waits for the kernel, and each looks at every frame
// that passes: a thousand of them are no way to ask a thousand VMs.

import {ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_RARP} from '../../wire/ethernet.ts'
import {PROTOCOL_ICMP} from '../../wire/ipv4.ts'
import {NEXT_HEADER_ICMPV6} from '../../wire/ipv6.ts'
import {anyOf, etherType, ipProtocol, nextHeader} from './bpf.ts'
import type {Link, LinkOptions, ReceivedFrame} from './link.ts'

type OpenLink = (interfaceName: string, options?: LinkOptions) => Promise<Link>

/** What VMs answer with: the rest of what passes at an interface is not queued for them. */
const ANSWERS = anyOf([
  [etherType(ETHERTYPE_ARP)],
  [etherType(ETHERTYPE_RARP)],
  [etherType(ETHERTYPE_IPV4), ipProtocol(PROTOCOL_ICMP)],
  [etherType(ETHERTYPE_IPV6), nextHeader(NEXT_HEADER_ICMPV6)],
])

/** A VM that has not told by its answers in this time, ms, is heard by a socket of its own too: its traffic may tell. */
const OWN_AFTER_MS = 1000

/** Where a VLAN tag has been put back, what follows is four bytes further on. */
const TAG_AT = 12

/** Opens links as `open` does; those for one VM (`LinkOptions.vm`) share a socket an interface, until it is closed. */
export function sharedLinks(open: OpenLink): {readonly openLink: OpenLink; close(): Promise<void>} {
  const shared = new Map<string, Promise<SharedSocket>>()
  const all: Promise<SharedSocket>[] = []
  const socketAt = (name: string): Promise<SharedSocket> => {
    const known = shared.get(name)
    if (known !== undefined) return known
    const opened = open(name, {filter: ANSWERS, promiscuous: true}).then((link) => {
      // What went down is opened anew for the next one, and says there what is wrong.
      link.onError(() => shared.delete(name))
      return sharedSocket(link)
    })
    opened.catch(() => shared.delete(name))
    shared.set(name, opened)
    all.push(opened)
    return opened
  }
  return {
    openLink: async (name, options = {}) =>
      options.vm === undefined
        ? open(name, options)
        : linkOfOne(await socketAt(name), () => open(name, options), options.vm),
    async close() {
      for (const opened of await Promise.allSettled(all))
        if (opened.status === 'fulfilled') await opened.value.link.close()
    },
  }
}

interface SharedSocket {
  readonly link: Link
  /** Calls it with what comes from or goes to a MAC; returns what takes it off again. */
  hear(mac: number, listener: (frame: ReceivedFrame) => void): () => void
}

function sharedSocket(link: Link): SharedSocket {
  const listeners = new Map<number, Set<(frame: ReceivedFrame) => void>>()
  link.onFrame((frame) => {
    const [to, from] = [macAt(frame.bytes, 0), macAt(frame.bytes, 6)]
    for (const mac of to === from ? [to] : [to, from]) for (const each of [...(listeners.get(mac) ?? [])]) each(frame)
  })
  return {
    link,
    hear(mac, listener) {
      const its = listeners.get(mac) ?? new Set()
      listeners.set(mac, its.add(listener))
      return () => {
        its.delete(listener)
        if (its.size === 0) listeners.delete(mac)
      }
    },
  }
}

/** The link of one VM: by the shared socket at once, by one of its own too where that was not enough. */
function linkOfOne({link, hear}: SharedSocket, openOwn: () => Promise<Link>, vm: string): Link {
  const listeners = new Set<(frame: ReceivedFrame) => void>()
  const stops: (() => void)[] = []
  const hand = (frame: ReceivedFrame): void => {
    for (const listener of [...listeners]) listener(frame)
  }
  stops.push(
    hear(
      macAt(
        Uint8Array.from(vm.split(':'), (byte) => Number.parseInt(byte, 16)),
        0,
      ),
      hand,
    ),
  )
  let own: Promise<Link | undefined> | undefined
  const timer = setTimeout(() => {
    own = openOwn().then(
      (opened) => {
        // What the shared one hears is not heard twice.
        opened.onFrame((frame) => (frame.packetType === 'outgoing' || !isAnswer(frame.bytes)) && hand(frame))
        return opened
      },
      // It is down: the shared one says so.
      () => undefined,
    )
  }, OWN_AFTER_MS)
  const close = async (): Promise<void> => {
    clearTimeout(timer)
    for (const stop of stops.splice(0)) stop()
    await (await own)?.close()
  }
  return {
    ...{name: link.name, mac: link.mac, mtu: link.mtu},
    send: (frame) => link.send(frame),
    sendMany: (frames) => link.sendMany(frames),
    onFrame(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    onError(listener) {
      const stop = link.onError(listener)
      stops.push(stop)
      return stop
    },
    dropped: () => link.dropped?.(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** 48 bits: a whole number that is exact. */
function macAt(bytes: Uint8Array, at: number): number {
  let value = 0
  for (let i = 0; i < 6; i++) value = value * 256 + (bytes[at + i] ?? 0)
  return value
}

/** What {@link ANSWERS} lets through. */
function isAnswer(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 20) return false
  const first = view.getUint16(TAG_AT)
  const tagged = first === 0x8100 || first === 0x88a8
  const shift = tagged ? 4 : 0
  const type = view.getUint16(TAG_AT + shift)
  if (type === ETHERTYPE_ARP || type === ETHERTYPE_RARP) return true
  if (type === ETHERTYPE_IPV4) return bytes[23 + shift] === PROTOCOL_ICMP
  return type === ETHERTYPE_IPV6 && bytes[20 + shift] === NEXT_HEADER_ICMPV6
}
