// Where the xid, the nonce and the replay value of a FORCERENEW come from.
import {DEAF, knownKind} from '../../domain/dhcp/client-kind.ts'
import type {DhcpClientKind} from '../../domain/inventory/segment-dhcp.ts'
import {Failure} from '../../errors.ts'
import type {World} from '../../net/world.ts'
import type {Ipv4} from '../../wire/address.ts'
import type {DhcpBackend, DhcpClient} from './backends/backend.ts'
import type {ClientStore} from './client-store.ts'
import type {NonceFile} from './nonce-file.ts'

/** What a FORCERENEW must carry so that the client takes it, and where that is from. */
export interface Credentials {
  /** That of the client's last REQUEST: dhcpcd drops any other without a word. */
  readonly xid: number
  /** Option 54; dhcpcd does without. */
  readonly serverId?: Ipv4 | undefined
  /** Without it the message is not signed, and only clients told not to check obey. */
  readonly key?: {readonly nonce: Uint8Array; readonly replay: bigint} | undefined
  /** Where the xid is from, for people. */
  readonly source: string
}

export interface CredentialSources {
  readonly world: Pick<World, 'now'>
  readonly store: ClientStore
  readonly backend?: DhcpBackend | undefined
  /** Given by the user, before all others. */
  readonly xid?: number | undefined
  readonly nonces?: NonceFile | undefined
  readonly serverId?: Ipv4 | undefined
  /** What the inventory says that a client is. */
  kindOf?(client: DhcpClient): DhcpClientKind | undefined
  /** Sign nothing. */
  readonly unauthenticated: boolean
  /** Use up no replay value: nothing will be sent. */
  readonly dryRun?: boolean
}

/**
 * What is known now: of the user, else of the server, else of what was seen on the wire.
 * @throws Failure `usage` that says which of them is missing and how to get it.
 */
export async function findCredentials(client: DhcpClient, sources: CredentialSources): Promise<Credentials> {
  const {backend, store} = sources
  const seen = store.read(client.mac)
  const told = sources.xid === undefined ? await backend?.lastTransaction(client) : undefined
  const kind = knownKind(sources.kindOf?.(client), told, seen)
  const given = sources.nonces?.of(client.mac)
  if (kind !== undefined && kind !== 'dhcpcd' && !given && !sources.unauthenticated)
    throw new Failure('refused', `${client.name} runs ${DEAF[kind]}`)
  const xid = sources.xid ?? told?.xid ?? seen?.xid
  if (xid === undefined) {
    const where = backend ? ` (${backend.reach} does not tell either)` : ''
    throw new Failure(
      'usage',
      `no transaction of ${client.name} (${client.mac}) is known${where}: give --xid, let 'send-reconfigure --learn' see it renew once, or have the server log it (docs/dhcp.md)`,
    )
  }
  const serverId = sources.serverId ?? told?.serverId ?? seen?.serverId
  const from = sources.xid !== undefined ? 'the command line' : told ? backend!.reach : 'what was seen on the wire'
  if (sources.unauthenticated) return {xid, serverId, source: `${from}, not signed`}
  const nonce = given ?? (await backend?.nonce(client)) ?? seen?.nonce
  if (!nonce) {
    if (seen?.canListen === false || told?.canListen === false)
      throw new Failure(
        'refused',
        `${client.name} did not send option 145, so that it does not listen for FORCERENEW: renew inside, use the NAK of gwswitch serve dhcp, or wait for T1`,
      )
    throw new Failure(
      'usage',
      `no nonce of ${client.name} (${client.mac}) is known: the server must give it one in an ACK; give --nonce-file, or name the server's nonces in the inventory (docs/dhcp.md)`,
    )
  }
  return {xid, serverId, key: {nonce, replay: await replayFor(client, sources)}, source: from}
}

async function replayFor(client: DhcpClient, {backend, store, world, dryRun}: CredentialSources): Promise<bigint> {
  if (dryRun) return world.now()
  return (await backend?.nextReplay?.(client)) ?? store.nextReplay(client.mac, world.now())
}
