import {setTimeout as delay} from 'node:timers/promises'
import {
  bridgeOf,
  forwards,
  interfaces,
  neighbours,
  redirectFacts,
  resolveNeighbour,
  routeTo,
  tableGateway,
} from './ip.ts'
import {realtimeNs} from './libc.ts'
import {openLink} from './packet/link.ts'
import type {World} from './world.ts'

/** How long an echo of this host's own is waited for. */
const ECHO_MS = 1000

/** The world as this machine has it. */
export function systemWorld(log: (line: string) => void): World {
  return {
    openLink,
    interfaces,
    neighbours,
    routeTo,
    tableGateway,
    resolveNeighbour,
    redirectFacts,
    bridgeOf,
    forwards,
    echo: async (addresses, signal) => {
      const {echoAny} = await import('./netlink/route-probe.ts')
      return (await echoAny(addresses, {timeoutMs: ECHO_MS, signal})).answered
    },
    nftTable: async (family, name) => (await import('./nft/nft.ts')).readNftTable(family, name),
    now: realtimeNs,
    sleep: async (ms, signal) => {
      try {
        await delay(ms, undefined, signal && {signal})
      } catch (error) {
        throw signal?.aborted ? signal.reason : error
      }
    },
    random: Math.random,
    log,
  }
}
