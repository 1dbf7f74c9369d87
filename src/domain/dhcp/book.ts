// The leases of one segment in memory: who has which address, and which address comes next. It does no I/O.
import {type Ipv4, ipv4Text, ipv4Value, type Mac} from '../../wire/address.ts'
import {isActive, type Lease} from './lease.ts'
import {clientKey, isHardwareKey} from './request.ts'

/** Addresses from `first` to `last`, both included, as 32-bit values. */
export interface AddressRange {
  readonly first: number
  readonly last: number
}

/** What the rules may ask. */
export interface LeaseView {
  byIp(ip: Ipv4): Lease | undefined
  byClient(client: string): Lease | undefined
  /** Whether the address is one that anybody may get. */
  isPooled(ip: Ipv4): boolean
  /** An address of the pool that nobody holds at `nowMs`, `wanted` if it is one; undefined if the pool is exhausted. */
  pick(nowMs: number, wanted?: Ipv4): Ipv4 | undefined
}

export interface LeaseBook extends LeaseView {
  readonly poolSize: number
  /** Takes a lease in, in place of the one with that address. */
  put(lease: Lease): void
  /** Forgets an address, as if it had never been leased. */
  remove(ip: Ipv4): void
  all(): IterableIterator<Lease>
  /** The lease of whoever has this hardware address, by whatever else it is known; of several, the one asked for last. */
  byMac(mac: Mac): Lease | undefined
  /** Addresses of the pool that nobody holds, and leases that are bound, at `nowMs`. */
  count(nowMs: number): {readonly free: number; readonly bound: number}
}

/** How often an exhausted pool is searched for leases that have run out, at most. */
const SWEEP_MS = 1000

/**
 * A book over `pool`, without the addresses in `excluded`. Memory is bounded by the pool and the reservations; looking
 * up and picking take constant time, but for a sweep a second once the pool is exhausted.
 */
export function leaseBook(pool: readonly AddressRange[], excluded: ReadonlySet<Ipv4>): LeaseBook {
  const leases = new Map<Ipv4, Lease>()
  const clients = new Map<string, Lease>()
  const macs = macIndex()
  /** Leased once and free again, the longest free first. */
  const idle = new Set<Ipv4>()
  let range = 0
  let next = pool[0]?.first ?? 0
  let sweptMs = Number.NEGATIVE_INFINITY

  const isPooled = (ip: Ipv4): boolean => {
    const value = ipv4Value(ip)
    return pool.some(({first, last}) => value >= first && value <= last) && !excluded.has(ip)
  }
  const isFree = (ip: Ipv4, nowMs: number): boolean => {
    const lease = leases.get(ip)
    return lease === undefined || !isActive(lease, nowMs)
  }
  /** The next address that was never leased. */
  const fresh = (): Ipv4 | undefined => {
    for (; range < pool.length; range++, next = pool[range]?.first ?? 0) {
      for (; next <= pool[range]!.last; next++) {
        const ip = ipv4Text(next)
        if (!leases.has(ip) && !excluded.has(ip)) return ip
      }
    }
    return undefined
  }
  const sweep = (nowMs: number): void => {
    sweptMs = nowMs
    const expired = [...leases.values()].filter(
      (lease) => !isActive(lease, nowMs) && !idle.has(lease.ip) && isPooled(lease.ip),
    )
    for (const {ip} of expired.sort((a, b) => a.expiresAtMs - b.expiresAtMs)) idle.add(ip)
  }
  const longestIdle = (nowMs: number): Ipv4 | undefined => {
    for (const ip of idle) {
      if (isFree(ip, nowMs)) return ip
      idle.delete(ip)
    }
    return undefined
  }

  return {
    poolSize: poolAddresses(pool, excluded),
    byIp: (ip) => leases.get(ip),
    byClient: (client) => clients.get(client),
    isPooled,
    pick(nowMs, wanted) {
      if (wanted !== undefined && isPooled(wanted) && isFree(wanted, nowMs)) return wanted
      const found = fresh() ?? longestIdle(nowMs)
      if (found !== undefined || nowMs - sweptMs < SWEEP_MS) return found
      sweep(nowMs)
      return longestIdle(nowMs)
    },
    put(lease) {
      const before = leases.get(lease.ip)
      if (before && before.client !== lease.client && clients.get(before.client) === before)
        clients.delete(before.client)
      if (before?.client !== lease.client || before.mac !== lease.mac) {
        if (before) macs.remove(before)
        macs.add(lease)
      }
      leases.set(lease.ip, lease)
      if (lease.state === 'declined') {
        // The client must not be led back to it.
        if (clients.get(lease.client)?.ip === lease.ip) clients.delete(lease.client)
      } else clients.set(lease.client, lease)
      idle.delete(lease.ip)
      if (lease.state === 'released' && isPooled(lease.ip)) idle.add(lease.ip)
    },
    remove(ip) {
      const before = leases.get(ip)
      if (!before) return
      if (clients.get(before.client) === before) clients.delete(before.client)
      macs.remove(before)
      leases.delete(ip)
      idle.delete(ip)
      const value = ipv4Value(ip)
      const at = pool.findIndex(({first, last}) => value >= first && value <= last)
      if (at >= 0 && (at < range || (at === range && value < next))) {
        range = at
        next = value
      }
    },
    all: () => leases.values(),
    byMac(mac) {
      let found = clients.get(clientKey(mac, undefined, false))
      for (const ip of macs.addresses(mac)) {
        const lease = leases.get(ip)!
        if (lease.state !== 'declined' && !(found && found.lastSeenMs > lease.lastSeenMs)) found = lease
      }
      return found
    },
    count(nowMs) {
      let held = 0
      let bound = 0
      for (const lease of leases.values()) {
        if (!isActive(lease, nowMs)) continue
        if (lease.state === 'bound') bound++
        if (isPooled(lease.ip)) held++
      }
      return {free: this.poolSize - held, bound}
    },
  }
}

/**
 * Addresses by MAC, of those clients that are not known by it: 50 bytes each. Nearly all have one address, and a set for
 * each would be more than the leases themselves.
 */
function macIndex() {
  const ips = new Map<Mac, Ipv4 | Set<Ipv4>>()
  return {
    add({mac, ip, client}: Lease): void {
      if (isHardwareKey(client)) return
      const found = ips.get(mac)
      if (found instanceof Set) found.add(ip)
      else ips.set(mac, found === undefined ? ip : new Set([found, ip]))
    },
    remove({mac, ip, client}: Lease): void {
      if (isHardwareKey(client)) return
      const found = ips.get(mac)
      if (!(found instanceof Set)) ips.delete(mac)
      else if (found.delete(ip) && found.size === 0) ips.delete(mac)
    },
    addresses(mac: Mac): readonly Ipv4[] {
      const found = ips.get(mac)
      return found === undefined ? [] : found instanceof Set ? [...found] : [found]
    },
  }
}

function poolAddresses(pool: readonly AddressRange[], excluded: ReadonlySet<Ipv4>): number {
  const inside = (value: number): boolean => pool.some(({first, last}) => value >= first && value <= last)
  const all = pool.reduce((sum, {first, last}) => sum + last - first + 1, 0)
  return all - [...excluded].filter((ip) => inside(ipv4Value(ip))).length
}
