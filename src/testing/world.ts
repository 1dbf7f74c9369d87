// A world without an operating system: links in memory and a clock that jumps to the next thing due.
import type {InterfaceFacts, Route} from '../net/ip.ts'
import type {Link, ReceivedFrame} from '../net/packet/link.ts'
import type {World} from '../net/world.ts'
import type {Ipv4, Mac} from '../wire/address.ts'

export interface FakeWorld extends World {
  /** Frames sent on any link, in order. */
  readonly sent: Uint8Array[]
  /** Hands a frame to every open link, `afterMs` from now. */
  deliver(frame: Uint8Array, afterMs?: number): void
  readonly openLinks: number
  onSend?: FakeWorldOptions['onSend']
}

export interface FakeWorldOptions {
  readonly interfaces?: readonly InterfaceFacts[]
  /** What the other end does with a sent frame. */
  readonly onSend?: ((frame: Uint8Array, world: FakeWorld) => void) | undefined
  /** The first that there is goes everywhere; none: there is no route. Undefined: nothing is known of routes. */
  readonly routes?: readonly Pick<Route, 'gateway' | 'interface' | 'source'>[]
  /** Of the neighbour table: MACs by address. */
  readonly neighbours?: Readonly<Record<Ipv4, Mac>>
  /** Bridges by the names of their ports. */
  readonly bridges?: Readonly<Record<string, string>>
}

export const ethernetInterface = (over: Partial<InterfaceFacts> = {}): InterfaceFacts => ({
  name: 'eth0',
  index: 2,
  mac: '02:00:00:00:0b:02',
  mtu: 1500,
  up: true,
  carrier: true,
  ethernet: true,
  addresses: [{ip: '10.1.0.253', prefixLength: 24}],
  ...over,
})

interface Timer {
  readonly atNs: bigint
  readonly order: number
  readonly fire: () => void
}

export function fakeWorld({
  interfaces = [ethernetInterface()],
  onSend,
  routes = [],
  neighbours = {},
  bridges = {},
}: FakeWorldOptions = {}): FakeWorld {
  let nowNs = 1_700_000_000_000_000_000n
  let order = 0
  const timers = new Set<Timer>()
  const sent: Uint8Array[] = []
  const listeners = new Set<(frame: ReceivedFrame) => void>()
  let openLinks = 0
  let pumping = false

  /** Lets promises settle, then jumps to the next timer, until none is left. */
  const pump = (): void => {
    if (pumping) return
    pumping = true
    const step = (): void => {
      const next = [...timers].toSorted((a, b) => Number(a.atNs - b.atNs) || a.order - b.order)[0]
      if (!next) {
        pumping = false
        return
      }
      timers.delete(next)
      if (next.atNs > nowNs) nowNs = next.atNs
      next.fire()
      setImmediate(step)
    }
    setImmediate(step)
  }
  const after = (ms: number, fire: () => void): Timer => {
    const timer = {atNs: nowNs + BigInt(Math.round(ms * 1e6)), order: order++, fire}
    timers.add(timer)
    pump()
    return timer
  }

  const world: FakeWorld = {
    sent,
    get openLinks() {
      return openLinks
    },
    deliver: (frame, afterMs = 0.1) =>
      void after(afterMs, () => {
        for (const listener of [...listeners]) listener({bytes: frame, timestampNs: nowNs, packetType: 'host'})
      }),
    async openLink(name): Promise<Link> {
      const facts = interfaces.find((candidate) => candidate.name === name)!
      openLinks++
      const own = new Set<(frame: ReceivedFrame) => void>()
      const close = async (): Promise<void> => {
        openLinks--
        for (const listener of own) listeners.delete(listener)
      }
      return {
        name,
        mac: facts.mac,
        mtu: facts.mtu,
        send(frame) {
          sent.push(frame)
          world.onSend?.(frame, world)
          return nowNs
        },
        sendMany: (frames) => frames.map((frame) => sent.push(frame)).length,
        onFrame(listener) {
          own.add(listener)
          listeners.add(listener)
          return () => void listeners.delete(listener)
        },
        onError: () => () => {},
        close,
        [Symbol.asyncDispose]: close,
      }
    },
    interfaces: async () => [...interfaces],
    neighbours: async () => [],
    ...(onSend && {onSend}),
    routeTo: async () => routes[0] && {...routes[0], redirected: false, expiresS: undefined},
    bridgeOf: async (name) => ({portOf: bridges[name], isBridge: Object.values(bridges).includes(name)}),
    tableGateway: async () => undefined,
    resolveNeighbour: async (ip) =>
      neighbours[ip] === undefined ? undefined : {ip, mac: neighbours[ip], state: 'REACHABLE'},
    redirectFacts: async () => ({acceptRedirects: undefined, rawSocketsOpen: 0}),
    now: () => nowNs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const timer = after(ms, resolve)
        signal?.addEventListener('abort', () => {
          timers.delete(timer)
          reject(signal.reason)
        })
      }),
    random: () => 0.5,
    log: () => {},
  }
  return world
}
