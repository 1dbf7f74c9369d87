import {setTimeout as delay} from 'node:timers/promises'
import {interfaces, neighbours, redirectFacts, resolveNeighbour, routeTo, tableGateway} from './ip.ts'
import {realtimeNs} from './libc.ts'
import {openLink} from './packet/link.ts'
import type {World} from './world.ts'

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
