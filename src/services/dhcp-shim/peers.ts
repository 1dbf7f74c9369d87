// Asks the shims of other hypervisors for the last transaction of a VM that has come from one of them, and answers them.
import {randomBytes} from 'node:crypto'
import {peerAnswer, peerAsk, readPeerWord, SHIM_PORT} from '../../domain/dhcp/shim-peers.ts'
import type {ShimScope} from '../../domain/dhcp/shim-scope.ts'
import {type FdbEntry, learnedOf} from '../../net/bridge-ports.ts'
import type {World} from '../../net/world.ts'
import {BROADCAST, type Mac} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {type Vlan, vlanTag} from '../../wire/ethernet.ts'
import {parseFrame, udpFrame} from '../../wire/frames.ts'
import type {VmPort} from './ports.ts'
import type {Traffic} from './traffic.ts'

export interface PeersOutside extends Pick<Traffic, 'clients' | 'sender' | 'ports'> {
  readonly world: Pick<World, 'now' | 'sleep'>
  /** Undefined: nobody is asked, and nobody answered. */
  readonly secret: Uint8Array | undefined
  scope(): ShimScope
  /** The ports that lead to other hypervisors. */
  uplinks(): readonly VmPort[]
  /** Where the bridges here have MACs. */
  learned(): Promise<readonly FdbEntry[]>
}

export interface Peers {
  /**
   * Resolves when somebody has told of a later transaction of the VM than is known here, or nobody has in time: it may have
   * been elsewhere meanwhile. What is known then says at which port the bridges have it now.
   */
  find(mac: Mac): Promise<void>
  /** A frame for {@link SHIM_PORT} came in by a port. */
  heard(frame: Uint8Array, portIndex: number): void
}

/** How long the others have, ms: across an inter-site link and a busy host. */
const PATIENCE_MS = 300
/** Nobody is asked about a VM for this long after its last transaction, or the last question, ms. No VM goes and comes back in it. */
const AGAIN_MS = 1000

export function shimPeers(outside: PeersOutside): Peers {
  const {clients, sender, secret, world} = outside
  const asking = new Map<string, () => void>()
  const asked = new Map<Mac, {readonly ms: number; readonly done: Promise<void>}>()
  const say = (
    index: number,
    to: {readonly destination: Mac; readonly vlan?: Vlan | undefined},
    payload: Uint8Array,
  ) => {
    const port = outside.uplinks().find((each) => each.index === index)
    if (port === undefined) return
    const ends = {source: '0.0.0.0', destination: '255.255.255.255'}
    const udp = {sourcePort: SHIM_PORT, destinationPort: SHIM_PORT, payload}
    sender.send(index, udpFrame({...to, source: port.mac}, ends, udp))
  }
  const ask = async (mac: Mac, vlan: Vlan | undefined): Promise<void> => {
    if (secret === undefined) return
    const id = randomBytes(16).toString('hex')
    const told = new AbortController()
    asking.set(id, () => told.abort())
    for (const {index} of outside.uplinks()) say(index, {destination: BROADCAST, vlan}, peerAsk({id, mac}, secret))
    await world.sleep(PATIENCE_MS, told.signal).catch(() => {})
    // Who tells later is believed as well.
    setTimeout(() => asking.delete(id), AGAIN_MS).unref()
  }
  const clockMs = (): number => Number(world.now() / 1_000_000n)
  const findAnew = async (mac: Mac, sinceMs: number): Promise<void> => {
    // Another bridge, of another tenant, may have the same MAC.
    const ours = [...outside.ports(), ...outside.uplinks()].map(({name}) => name)
    const place = learnedOf(await outside.learned()).find((each) => each.mac === mac && ours.includes(each.port))
    await ask(mac, vlanTag(place?.vlan))
    const lease = clients.leases.get(mac)
    // It asked here meanwhile, which says more than where a bridge had it before.
    const isSeen = lease?.portIndex !== undefined && lease.lastSeenMs >= sinceMs && lease.lastSeenMs <= clockMs()
    if (lease === undefined || isSeen) return
    const port = outside.ports().find(({name, index}) => (place ? name === place.port : index === lease.portIndex))
    clients.leases.set(mac, {...lease, portIndex: port?.index})
  }
  return {
    async find(mac) {
      const nowMs = clockMs()
      // A clock may have been set back.
      const isRecent = (ms = Number.NaN): boolean => Math.abs(nowMs - ms) < AGAIN_MS
      const before = asked.get(mac)
      if (isRecent(before?.ms)) return before!.done
      if (isRecent(clients.leases.get(mac)?.lastSeenMs) || !outside.scope().vms.has(mac)) return
      const done = findAnew(mac, nowMs)
      asked.set(mac, {ms: nowMs, done})
      return done
    },
    heard(frame, portIndex) {
      const parsed = ifWellFormed(() => parseFrame(frame))
      if (secret === undefined || parsed?.kind !== 'udp' || parsed.udp.destinationPort !== SHIM_PORT) return
      const word = readPeerWord(parsed.udp.payload, outside.scope().vms, secret)
      if (word?.kind === 'ask') {
        const lease = clients.leases.get(word.mac)
        const {source: destination, vlan} = parsed.ethernet
        if (lease !== undefined) say(portIndex, {destination, vlan}, peerAnswer(word.id, lease, secret))
      } else if (word?.kind === 'told' && asking.has(word.id)) {
        const {lease} = word
        const held = clients.leases.get(lease.mac)
        if (held !== undefined && held.lastSeenMs >= lease.lastSeenMs) return
        const replay = held && held.replay > lease.replay ? held.replay : lease.replay
        clients.leases.set(lease.mac, {...lease, replay, portIndex: held?.portIndex})
        asking.get(word.id)!()
      }
    },
  }
}
