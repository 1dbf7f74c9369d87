// What gwswitch asks of a DHCP server, whichever it is.

import type {DhcpClientKind, DhcpServerKind} from '../../../domain/inventory/segment-dhcp.ts'
import type {Gateway} from '../../../domain/inventory/site.ts'
import type {Ipv4, Mac} from '../../../wire/address.ts'
import type {Json} from '../../strategy.ts'

/** A client as a server knows it. */
export interface DhcpClient {
  /** As the inventory calls the VM, and the server's configuration its host entry. */
  readonly name: string
  readonly ip: Ipv4
  readonly mac: Mac
}

/** The gateway to give, and its site. */
export type GivenGateway = Pick<Gateway, 'site' | 'ip'>

/** What a server was told to give a client before anybody changed it: what is put back. JSON. */
export interface Statement {
  /** The router that its next ACK carries; null: the server does not tell. */
  readonly router: Ipv4 | null
  /** What was told of this client alone, in the back end's own form; null: nothing. */
  readonly own: Json
  /** False: something was told of the client alone, and the server keeps it to itself. */
  readonly legible: boolean
}

/** The last REQUEST of a client that the server answered with an ACK, as far as it tells. */
export interface Transaction {
  readonly xid: number
  /** Differs from transaction to transaction, also where the client keeps its xid. */
  readonly serial: string
  /** The router of the ACK, or what the server is set to give; undefined if it does not say. */
  readonly router?: Ipv4 | undefined
  /** The router of the ACK itself, where the server keeps it. */
  readonly acked?: Ipv4 | undefined
  readonly serverId?: Ipv4 | undefined
  readonly kind?: DhcpClientKind | undefined
  /** The client sent option 145. */
  readonly canListen?: boolean | undefined
  /** When it will ask by itself at the latest, CLOCK_REALTIME ns. */
  readonly renewsNs?: bigint | undefined
  /** T1 of its lease, s. */
  readonly renewS?: number | undefined
}

/** What can be told to a DHCP server, and asked of it. Every call may throw Failure `runtime` if it is out of reach. */
export interface DhcpBackend {
  readonly kind: DhcpServerKind
  /** How it is reached, for people: `dnsmasq by /etc/gwswitch/dnsmasq.opts and SIGHUP`. */
  readonly reach: string
  /**
   * Whether the server is there, knows the client, and can give it `to`, if that is asked; changes nothing. Resolves to what
   * there is to be wary of.
   * @throws Failure that says what is missing.
   */
  check(client: DhcpClient, to?: GivenGateway): Promise<readonly string[]>
  /** The bridge port of this host that a client is at, where the back end knows. */
  portOf?(client: DhcpClient): Promise<string | undefined>
  /** How its servers are among each other, in words; undefined where there is but one. */
  condition?(): Promise<string | undefined>
  /** From the next ACK on, the client's option 3 is the gateway's IP. Resolves when the server has taken it. */
  setRouter(client: DhcpClient, gateway: GivenGateway): Promise<void>
  /** What it would give the client now; changes nothing. */
  statement(client: DhcpClient): Promise<Statement>
  /** Puts back what `statement` found, and nothing else: whatever others told since stays. Can be done twice. */
  restore(client: DhcpClient, before: Statement): Promise<void>
  /** Undefined if the server has not heard from the client, or does not write down transactions. */
  lastTransaction(client: DhcpClient): Promise<Transaction | undefined>
  /** The key of its FORCERENEWs, 16 bytes; undefined if the server gives it none. */
  nonce(client: DhcpClient): Promise<Uint8Array | undefined>
  /** Takes the next replay value out of the server's own store, where the server has one. */
  nextReplay?(client: DhcpClient): Promise<bigint>
  /** Answers the client's next REQUEST with a NAK, where the server can: the client then begins anew. */
  nakNext?(client: DhcpClient): Promise<void>
  /** Clients with a lease now. */
  clients?(): Promise<readonly DhcpClient[]>
}
