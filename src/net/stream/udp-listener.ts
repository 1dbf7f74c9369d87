// A UDP socket that takes signed messages from anybody, and stands floods of what is none.
import {Failure} from '../../errors.ts'
import type {Endpoint} from '../../wire/endpoint.ts'
import {watchReadable} from '../packet/readable.ts'
import {floodValve} from './flood-valve.ts'
import {ALL, looksTagged, messageFilter, type Shares} from './message-filter.ts'
import {type Datagram, openUdpSocket, type Peer, UdpError, type UdpSocket} from './udp-socket.ts'

export type {Peer} from './udp-socket.ts'

export interface UdpListener {
  /** Where it listens: of a host without IPv6 not where it was told to. */
  readonly endpoint: Endpoint
  /** Sending promises nothing; where there is no way to `to`, nothing is sent. */
  send(message: string, to: Peer): void
  /** Other hints from now on. */
  expect(hints: readonly string[]): void
  /** Safe twice. Resolves when the port is free again. */
  close(): Promise<void>
}

/** Where a message came from is no proof of who sent it. `bytes` are valid until it returns. */
export type OnMessage = (bytes: Uint8Array, from: Peer, listener: UdpListener) => void

export interface UdpListenOptions {
  /** Of the keys whose tags are looked for (wire/agent-tag.ts). */
  readonly hints: readonly string[]
  onError(error: Error): void
}

/** ms. */
const WINDOW_MS = 100
/** Messages of a flood that are looked at in a window. Those with a tag cost less, and are more often wanted. */
const TAGGED = 100
const UNTAGGED = 25

/**
 * `::` takes IPv4 too, whatever net.ipv6.bindv6only says; a host without IPv6 listens on 0.0.0.0 instead. What is sent to
 * somebody who asked leaves from the address that was asked. In a flood the kernel drops most of it.
 * @throws Failure `runtime` if the port is taken or the address is not here, `privilege` for a port that is not ours to take.
 */
export function openUdpListener(endpoint: Endpoint, onMessage: OnMessage, options: UdpListenOptions): UdpListener {
  let {hints} = options
  const socket = opened(endpoint, hints)
  const {address, port} = socket
  const valves = {tagged: floodValve(TAGGED), untagged: floodValve(UNTAGGED)}
  let timer: NodeJS.Timeout | undefined

  const shares = (): Shares => ({tagged: valves.tagged.share, untagged: valves.untagged.share})
  /** Without a flood, there is no timer. */
  function turn(): void {
    const turned = [valves.tagged.turn(), valves.untagged.turn()]
    if (turned.includes(true)) socket.filter(messageFilter(hints, shares()))
    if (shares().tagged < 1 || shares().untagged < 1) timer = setTimeout(turn, WINDOW_MS)
    else timer = undefined
  }
  function count(datagrams: readonly Datagram[]): void {
    const tagged = datagrams.filter(({bytes}) => looksTagged(bytes)).length
    valves.tagged.count(tagged)
    valves.untagged.count(datagrams.length - tagged)
    timer ??= setTimeout(turn, WINDOW_MS)
  }

  const watch = watchReadable(socket.fd, () => {
    try {
      // One batch a turn: a flood shuts out nothing else that the process does.
      const datagrams = socket.receive()
      count(datagrams)
      for (const {bytes, ...from} of datagrams) onMessage(bytes, from, listener)
    } catch (error) {
      options.onError(error as Error)
    }
  })
  let closing: Promise<void> | undefined
  const listener: UdpListener = {
    endpoint: {address, port},
    send(message, to) {
      if (closing === undefined) socket.send(Buffer.from(message), to)
    },
    expect(others) {
      hints = others
      socket.filter(messageFilter(hints, shares()))
    },
    close() {
      clearTimeout(timer)
      closing ??= watch.stop().then(() => socket.close())
      return closing
    },
  }
  return listener
}

function opened({address, port}: Endpoint, hints: readonly string[]): UdpSocket {
  try {
    return openUdpSocket(address, port, messageFilter(hints, ALL))
  } catch (error) {
    if (!(error instanceof UdpError)) throw error
    const {code} = error
    if (address === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
      return opened({address: '0.0.0.0', port}, hints)
    const where = `cannot listen on UDP ${address} port ${port}: ${code}`
    if (code === 'EACCES') throw new Failure('privilege', `${where} (ports below 1024 need CAP_NET_BIND_SERVICE)`)
    throw new Failure('runtime', where)
  }
}
