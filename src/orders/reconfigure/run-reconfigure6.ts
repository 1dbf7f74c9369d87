// `gwswitch send-reconfigure --ipv6`: a DHCPv6 Reconfigure, for the sake of DNS and other options.
import {findVm, type Inventory} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import {readText} from '../../net/file/text-file.ts'
import {ethernetIn, interfaceIn} from '../../net/ip.ts'
import {anyOf} from '../../net/packet/bpf.ts'
import type {DhcpClient} from '../../strategies/dhcp/backends/backend.ts'
import {
  type Client6Record,
  type ClientStore,
  copyClientStore,
  DEFAULT_STATE,
  openClientStore,
} from '../../strategies/dhcp/client-store.ts'
import type {ClientSighting} from '../../strategies/dhcp/client-watch.ts'
import {dhcp6Clauses, learnSighting6, readClientSighting6} from '../../strategies/dhcp/client-watch6.ts'
import {parseNonceFile} from '../../strategies/dhcp/nonce-file.ts'
import {reconfigureClient} from '../../strategies/dhcp/reconfigure.ts'
import {type Mac, readMac} from '../../wire/address.ts'
import {
  DHCPV6_CLIENT_PORT,
  DHCPV6_INFORMATION_REQUEST,
  DHCPV6_REBIND,
  DHCPV6_RENEW,
  DHCPV6_SERVER_PORT,
  type Dhcpv6Reconfigure,
  serializeDhcpv6Reconfigure,
} from '../../wire/dhcpv6-reconfigure.ts'
import {vlanTag} from '../../wire/ethernet.ts'
import {isLinkLocal, linkLocalOf, readIpv6} from '../../wire/ipv6-address.ts'
import {udp6Frame} from '../../wire/udp6.ts'
import {type ReconfigureDocument, reconfigureDocument} from './reconfigure-report.ts'
import type {SendReconfigureStage} from './run-reconfigure.ts'

export const REQUESTS = {renew: DHCPV6_RENEW, rebind: DHCPV6_REBIND, information: DHCPV6_INFORMATION_REQUEST} as const

export interface Reconfigure6Order {
  /** VM of the inventory, or the client's link-local address. */
  readonly client?: string | undefined
  readonly interfaceName?: string | undefined
  readonly mac?: string | undefined
  /** Hex; without them what --learn saw. */
  readonly clientDuid?: string | undefined
  readonly serverDuid?: string | undefined
  readonly nonceFile?: string | undefined
  readonly ask: keyof typeof REQUESTS
  readonly attempts: number
  readonly timeoutMs: number
  readonly vlanId?: number | undefined
  readonly state?: string | undefined
  /** Flags that mean nothing here. */
  readonly all: boolean | undefined
  readonly unauthenticated: boolean | undefined
  readonly xid?: string | undefined
  readonly router?: string | undefined
  readonly serverId?: string | undefined
}

const NO_ROUTER = 'DHCPv6 gives no default route: that comes from router advertisements alone'
/** @throws Failure `usage` before anything is sent, `runtime` and `privilege` from the interface. */
export async function runReconfigure6(
  order: Reconfigure6Order,
  inventory: Inventory | undefined,
  stage: SendReconfigureStage,
): Promise<ReconfigureDocument> {
  const {interfaceName} = order
  const {all, unauthenticated, xid, router, serverId} = order
  const strange = Object.entries({all, unauthenticated, xid, router, 'server-id': serverId}).find(([, value]) => value)
  if (strange) throw usage(`--${strange[0]} is for DHCPv4: it does not go with --ipv6`)
  if (interfaceName === undefined) throw usage('--ipv6 sends on the segment, from a link-local address: give -i IF')
  const store = await (stage.dryRun ? copyClientStore : openClientStore)(order.state ?? DEFAULT_STATE)
  try {
    const client = clientOf(order, inventory)
    const facts = factsOf(client, order, store)
    const via = interfaceIn(ethernetIn(await stage.world.interfaces()), interfaceName)
    const frame = (replay: bigint): Uint8Array =>
      reconfigureFrame(client, {...facts, messageType: REQUESTS[order.ask], replay}, via.mac, order.vlanId)
    const head = {
      message: 'Reconfigure' as const,
      interfaceName,
      dryRun: stage.dryRun,
      router: undefined,
      warnings: [NO_ROUTER],
    }
    if (stage.dryRun) {
      const hex = Buffer.from(frame(stage.world.now())).toString('hex')
      const planned = {
        client: client.name,
        ip: client.ip,
        mac: client.mac,
        message: head.message,
        // A Reconfigure has none (RFC 8415 18.3.11).
        xid: '000000',
        authenticated: true,
        source: order.nonceFile ?? 'what was seen on the wire',
        layer: 'ethernet' as const,
        hex,
      }
      return reconfigureDocument({...head, rows: [], frames: [planned]})
    }
    const link = await stage.world.openLink(interfaceName, {
      filter: anyOf(dhcp6Clauses()),
      promiscuous: true,
      outgoing: true,
    })
    try {
      const watch = (_: DhcpClient, listener: (sighting: ClientSighting) => void) =>
        link.onFrame((received) => {
          const seen = readClientSighting6(received, order.vlanId)
          if (!seen) return
          learnSighting6(store, seen)
          if (seen.sighting?.mac === client.mac) listener(seen.sighting)
        })
      const fire = async () => ({
        atNs: link.send(frame(store.nextReplay(client.mac, stage.world.now()))),
        text: `DHCPv6 Reconfigure (${order.ask})`,
      })
      const context = {
        world: stage.world,
        watch: {watch},
        trigger: {fire},
        signal: stage.signal,
        observe: ({text}: {text: string}) => stage.world.log(text),
      }
      const report = await reconfigureClient(client, context, order)
      return reconfigureDocument({
        ...head,
        rows: [{...report, wanted: undefined, sees: true, signed: true}],
        frames: [],
      })
    } finally {
      await link.close()
    }
  } finally {
    store.close()
  }
}

function clientOf({client, mac: macFlag}: Reconfigure6Order, inventory: Inventory | undefined): DhcpClient {
  if (client === undefined)
    throw usage('--ipv6 asks one client: name it (a VM of the inventory or a link-local address)')
  const given = macFlag === undefined ? undefined : readMac(macFlag)
  if (macFlag !== undefined && given === undefined)
    throw usage(`--mac ${macFlag} is not a MAC address (want 02:00:00:00:00:10)`)
  const address = readIpv6(client)
  if (address !== undefined) {
    if (!isLinkLocal(address))
      throw usage(`${address} is not a link-local address, and Reconfigures go to no other here`)
    if (given === undefined) throw usage(`the MAC of ${address} is not known: give --mac`)
    return {name: address, ip: address, mac: given}
  }
  const mac: Mac | undefined = given ?? (inventory && findVm(inventory, client)?.mac)
  if (mac === undefined) throw usage(`"${client}" is neither a VM of an inventory nor an IPv6 address`)
  return {name: client, ip: linkLocalOf(mac), mac}
}

function factsOf(
  client: DhcpClient,
  order: Reconfigure6Order,
  store: ClientStore,
): Pick<Dhcpv6Reconfigure, 'clientDuid' | 'serverDuid' | 'key'> {
  const seen: Client6Record | undefined = store.read6(client.mac)
  const clientDuid = duid('--client-duid', order.clientDuid) ?? seen?.clientDuid
  const serverDuid = duid('--server-duid', order.serverDuid) ?? seen?.serverDuid
  const text = order.nonceFile === undefined ? undefined : readText(order.nonceFile)
  if (order.nonceFile !== undefined && text === undefined) throw usage(`--nonce-file ${order.nonceFile}: no such file`)
  const key = (text === undefined ? undefined : parseNonceFile(text, order.nonceFile!).of(client.mac)) ?? seen?.key
  const missing = Object.entries({
    '--client-duid': clientDuid,
    '--server-duid': serverDuid,
    '--nonce-file (its reconfigure key)': key,
  }).find(([, value]) => value === undefined)
  if (missing)
    throw usage(
      `not enough is known of ${client.name} (${client.mac}): give ${missing[0]}, or let 'send-reconfigure --learn' see its server's Reply`,
    )
  return {clientDuid: clientDuid!, serverDuid: serverDuid!, key: key!}
}

function duid(flag: string, text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined
  const hex = text.replaceAll(':', '')
  if (/^(?:[0-9a-f]{2}){3,130}$/i.test(hex)) return Uint8Array.from(Buffer.from(hex, 'hex'))
  throw usage(`${flag} ${text} is not a DUID (want hex digits, 00:01:00:01:...)`)
}

function reconfigureFrame(
  client: DhcpClient,
  reconfigure: Dhcpv6Reconfigure,
  source: Mac,
  vlanId: number | undefined,
): Uint8Array {
  return udp6Frame(
    {destination: client.mac, source, vlan: vlanTag(vlanId)},
    {source: linkLocalOf(source), destination: client.ip, hopLimit: 255},
    {
      sourcePort: DHCPV6_SERVER_PORT,
      destinationPort: DHCPV6_CLIENT_PORT,
      payload: serializeDhcpv6Reconfigure(reconfigure),
    },
  )
}
