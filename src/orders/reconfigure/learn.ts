// Listens to DHCP on a segment and remembers what a FORCERENEW will need: `gwswitch send-reconfigure --learn`.
import {Failure} from '../../errors.ts'
import {anyOf} from '../../net/packet/bpf.ts'
import type {World} from '../../net/world.ts'
import {tableLines} from '../../render/table.ts'
import {DEFAULT_STATE, openClientStore} from '../../strategies/dhcp/client-store.ts'
import {dhcpClauses, readClientSighting} from '../../strategies/dhcp/client-watch.ts'
import {dhcp6Clauses, learnSighting6, readClientSighting6} from '../../strategies/dhcp/client-watch6.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'

/** More than any segment has: a flood of made-up MACs ends here. */
const MOST_CLIENTS = 50_000

export interface LearnOrder {
  readonly interfaceName?: string | undefined
  readonly vlanId?: number | undefined
  /** Seconds to listen; until it is stopped if undefined. */
  readonly durationS?: number | undefined
  readonly state?: string | undefined
}

export interface LearnDocument {
  readonly schema: 'gwswitch.send-reconfigure-learn/1'
  readonly interface: string
  readonly learned: readonly {
    readonly mac: Mac
    readonly ip: Ipv4 | null
    /** 8 hex digits. */
    readonly xid: string | null
    readonly hasNonce: boolean
    readonly canListen: boolean | null
    readonly kind: string | null
    readonly router: Ipv4 | null
  }[]
  /** Of DHCPv6. */
  readonly learned6: readonly {readonly mac: Mac; readonly ip: string; readonly hasKey: boolean}[]
  readonly warnings: readonly string[]
  readonly exitCode: number
}

/**
 * Ends after `durationS`, or when `signal` aborts, which is no error then. It sees what passes the interface: renewals
 * are unicast, so it belongs on the DHCP server's host or on the VMs' hypervisor. @throws Failure without an interface.
 */
export async function learn(order: LearnOrder, world: World, signal: AbortSignal): Promise<LearnDocument> {
  const {interfaceName, durationS, vlanId} = order
  if (interfaceName === undefined) throw new Failure('usage', '--learn listens on one interface: give -i IF')
  const store = await openClientStore(order.state ?? DEFAULT_STATE)
  try {
    const link = await world.openLink(interfaceName, {
      filter: anyOf([...dhcpClauses([]), ...dhcp6Clauses()]),
      promiscuous: true,
      outgoing: true,
    })
    const macs = new Set<Mac>()
    const macs6 = new Set<Mac>()
    link.onFrame((received) => {
      const seen6 = readClientSighting6(received, vlanId)
      const mac6 = seen6?.learned?.mac ?? seen6?.reconfigure?.mac
      if (seen6 && mac6 !== undefined && (macs6.size < MOST_CLIENTS || macs6.has(mac6))) {
        learnSighting6(store, seen6)
        if (seen6.learned) {
          macs6.add(mac6)
          world.log(`${mac6}: DHCPv6 Reply${seen6.learned.key ? ', with a reconfigure key' : ''}`)
        }
      }
      const sighting = readClientSighting(received, vlanId)
      // A replay value counts for a client that is known already, and adds none.
      if (sighting?.kind === 'forcerenew') store.learn(sighting)
      if (sighting?.kind !== 'request' && sighting?.kind !== 'ack') return
      if (macs.size >= MOST_CLIENTS && !macs.has(sighting.mac)) return
      store.learn(sighting)
      macs.add(sighting.mac)
      world.log(
        `${sighting.mac}: ${sighting.kind === 'ack' ? `ACK of ${sighting.ip}${sighting.nonce ? ', with a nonce' : ''}` : 'asks'}`,
      )
    })
    try {
      // Longer than any timer counts, for "until it is stopped".
      while (!signal.aborted) {
        await world.sleep(durationS === undefined ? 3_600_000 : durationS * 1000, signal)
        if (durationS !== undefined) break
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await link.close()
    }
    const learned = [...macs].sort().map((mac) => {
      const {ip, xid, nonce, canListen, kind, router} = store.read(mac)!
      return {
        mac,
        ip: ip ?? null,
        xid: xid === undefined ? null : xid.toString(16).padStart(8, '0'),
        hasNonce: nonce !== undefined,
        canListen: canListen ?? null,
        kind: kind ?? null,
        router: router ?? null,
      }
    })
    const learned6 = [...macs6]
      .sort()
      .map((mac) => ({mac, ip: store.read6(mac)!.ip, hasKey: store.read6(mac)!.key !== undefined}))
    return {
      schema: 'gwswitch.send-reconfigure-learn/1',
      interface: interfaceName,
      learned,
      learned6,
      warnings: [],
      exitCode: 0,
    }
  } finally {
    store.close()
  }
}

export function learnText({learned, learned6, interface: via}: LearnDocument): string[] {
  if (learned.length + learned6.length === 0) return [`no DHCP client was heard on ${via}`]
  const rows = learned.map(({mac, ip, xid, hasNonce, canListen, kind, router}) => [
    ip ?? '-',
    mac,
    kind ?? '',
    `xid ${xid ?? '-'}`,
    router === null ? '' : `router ${router}`,
    hasNonce ? 'nonce known' : canListen ? 'takes a nonce, none seen' : 'takes no nonce',
  ])
  const rows6 = learned6.map(({mac, ip, hasKey}) => [ip, mac, 'DHCPv6', hasKey ? 'key known' : 'no key seen'])
  return [...tableLines(rows), ...tableLines(rows6)]
}
