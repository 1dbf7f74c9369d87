// A link: one network interface, as everything above this floor sees it. Frames go in and come out.
import {Failure} from '../../errors.ts'
import type {Mac} from '../../wire/address.ts'
import {type InterfaceFacts, readyInterface} from '../ip.ts'
import type {Instruction} from './bpf.ts'
import {openPacketSocket, type ReceivedFrame} from './packet-socket.ts'
import {watchReadable} from './readable.ts'

export type {ReceivedFrame} from './packet-socket.ts'

/** Sends and receives whole Ethernet frames. Tests put a pair of them in memory. */
export interface Link {
  readonly name: string
  /** The interface's own MAC. */
  readonly mac: Mac
  readonly mtu: number
  /** Sends one frame; returns when, in nanoseconds on the clock of `ReceivedFrame.timestampNs`. */
  send(frame: Uint8Array): bigint
  /** Sends many, in few system calls. Returns how many the kernel took before its queue was full. */
  sendMany(frames: readonly Uint8Array[]): number
  /** Calls `listener` for every frame from now on; returns what takes it off again. */
  onFrame(listener: (frame: ReceivedFrame) => void): () => void
  /** Calls `listener` when the interface goes away or down; frames may come again after. */
  onError(listener: (error: Failure) => void): () => void
  /** Frames that came faster than they were taken, and are lost; undefined, or absent, where nobody counts. */
  dropped?(): number | undefined
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface LinkOptions {
  readonly filter?: readonly Instruction[]
  readonly promiscuous?: boolean
  /** Show frames this host sends too. Default false. */
  readonly outgoing?: boolean
  readonly snapLength?: number
  /** Only what comes from or goes to this MAC is wanted: a link that many share will do (`sharedLinks`). */
  readonly vm?: Mac
}

/**
 * Opens an interface for raw frames. Receiving starts at once; until {@link Link.close} it keeps the process alive.
 * `known` are interfaces as they were looked at just now.
 * @throws Failure `runtime` for a missing or down interface, `privilege` without CAP_NET_RAW.
 */
export async function openLink(
  interfaceName: string,
  options: LinkOptions = {},
  known: readonly InterfaceFacts[] = [],
): Promise<Link> {
  // What was ready a moment ago is not asked for again: if it is no more, the socket says so.
  const facts =
    known.find(({name, ethernet, up, carrier}) => name === interfaceName && ethernet && up && carrier) ??
    (await readyInterface(interfaceName))
  const socket = openPacketSocket({
    interfaceIndex: facts.index,
    snapLength: Math.max(options.snapLength ?? 2048, facts.mtu + 18),
    ignoreOutgoing: !(options.outgoing ?? false),
    ...(options.filter && {filter: options.filter}),
    ...(options.promiscuous && {promiscuous: true}),
  })
  const frameListeners = new Set<(frame: ReceivedFrame) => void>()
  const errorListeners = new Set<(error: Failure) => void>()
  const report = (error: string): void => {
    const down = error === 'ENETDOWN' ? `${facts.name} went down` : `${facts.name}: receiving failed with ${error}`
    for (const listener of [...errorListeners]) listener(new Failure('runtime', down))
  }
  const watch = watchReadable(socket.fd, () => {
    const error = socket.drain((frame) => {
      for (const listener of [...frameListeners]) listener(frame)
    })
    if (error !== undefined) report(error)
  })

  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= watch.stop().then(() => socket.closeLater())
    return closing
  }
  return {
    name: facts.name,
    mac: facts.mac,
    mtu: facts.mtu,
    send: (frame) => socket.send(frame),
    sendMany: (frames) => socket.sendMany(frames),
    onFrame: (listener) => subscribe(frameListeners, listener),
    onError: (listener) => subscribe(errorListeners, listener),
    dropped: () => socket.dropped(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}
