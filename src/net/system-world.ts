import {hostLinks} from './bridge-host.ts'
import {bridgeFdb} from './bridge-ports.ts'
import {
  bridgeOf,
  carrierChanges,
  forwards,
  type InterfaceFacts,
  interfaces,
  neighbours,
  redirectFacts,
  resolveNeighbour,
  routeTo,
  routingFacts,
  tableGateway,
} from './ip.ts'
import {realtimeNs} from './libc.ts'
import {openLink} from './packet/link.ts'
import type {World} from './world.ts'

/** How long an echo of this host's own is waited for. */
const ECHO_MS = 1000

/** How long what ip(8) said of the interfaces is good for, ms: one look asks several times, and each is a process. */
const KNOWN_MS = 1000

/** The world as this machine has it. */
export function systemWorld(log: (line: string) => void): World {
  const known = remembering(interfaces, KNOWN_MS)
  /** Who is told of changes knows what there is, however long ago it was asked. */
  let watchers = 0
  return {
    openLink: async (name, options) => openLink(name, options, await known(watchers > 0)),
    interfaces: () => known(),
    linkChanges: async (onChanged) => {
      const {watchLinks} = await import('./netlink/route-socket.ts')
      const watch = watchLinks(() => {
        known.forget()
        onChanged()
      })
      watchers++
      return {
        close() {
          watchers--
          return watch.close()
        },
      }
    },
    hearEverywhere: async (filter, onFrame) => (await import('./packet/everywhere.ts')).hearEverywhere(filter, onFrame),
    learnedChanges: async (onLearned, onLost) => (await import('./netlink/fdb-watch.ts')).watchFdb(onLearned, onLost),
    neighbours,
    routeTo,
    routingFacts,
    tableGateway,
    resolveNeighbour,
    redirectFacts,
    bridgeOf,
    learned: bridgeFdb,
    hostLinks,
    forwards,
    carrierChanges,
    echo: async (addresses, signal) => {
      const {echoAny} = await import('./netlink/route-probe.ts')
      return (await echoAny(addresses, {timeoutMs: ECHO_MS, signal})).answered
    },
    nftTables: async (family) => (await import('./nft/nft.ts')).readNftTables(family),
    nftTable: async (family, name) => (await import('./nft/nft.ts')).readNftTable(family, name),
    speaker: async () => {
      const [{systemVantage}, {openNeighbourTables}] = await Promise.all([
        import('./vantage-world.ts'),
        import('./neighbour-tables.ts'),
      ])
      return {vantage: systemVantage, tables: openNeighbourTables}
    },
    now: realtimeNs,
    monotonic: () => process.hrtime.bigint(),
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      const {promise, resolve, reject} = Promise.withResolvers<void>()
      const stop = (): void => reject(signal?.reason)
      // What came in the meantime is heard before whoever waited for it judges: sockets are read between the two.
      const timer = setTimeout(() => setImmediate(resolve), Math.max(0, ms))
      signal?.addEventListener('abort', stop)
      try {
        await promise
      } finally {
        clearTimeout(timer)
        signal?.removeEventListener('abort', stop)
      }
    },
    random: Math.random,
    log,
  }
}

/** Asks again after `ms`, unless the last answer will do at any age, and after a failure. */
function remembering(ask: () => Promise<InterfaceFacts[]>, ms: number) {
  let last: {readonly atMs: number; readonly answer: Promise<InterfaceFacts[]>} | undefined
  const remember = (anyAge = false): Promise<InterfaceFacts[]> => {
    if (last !== undefined && (anyAge || performance.now() - last.atMs < ms)) return last.answer
    const mine = {atMs: performance.now(), answer: ask()}
    last = mine
    mine.answer.catch(() => {
      if (last === mine) last = undefined
    })
    return mine.answer
  }
  const forget = (): void => {
    last = undefined
  }
  return Object.assign(remember, {forget})
}
