// Clients' messages and a small server, for tests of its rules.
import {leaseBook} from '../../../src/domain/dhcp/book.ts'
import {type ClientRequest, readRequest} from '../../../src/domain/dhcp/request.ts'
import type {ServerFacts} from '../../../src/domain/dhcp/scope.ts'
import {type ServeRequest, serverFacts} from '../../../src/domain/dhcp/serve-request.ts'
import {parseInventory} from '../../../src/domain/inventory/inventory.ts'
import {BOOTREQUEST, type Dhcp} from '../../../src/wire/dhcp.ts'
import {
  type DhcpOption,
  type DhcpOptionCodec,
  dhcpOptions,
  readOption,
  writeOption,
} from '../../../src/wire/dhcp-options.ts'
import {INVENTORY} from '../../support/inventory.ts'

export const SERVER = '10.0.0.3'
export const VM_MAC = '02:00:00:00:00:10'
export const VM_IP = '10.0.0.10'
export const STRANGER = '02:00:00:00:00:99'
export const NOW = 1_800_000_000_000

export const asked = (over: Partial<ServeRequest> = {}): ServeRequest => ({
  interfaceName: 'eth0',
  pool: ['10.0.0.100-10.0.0.103'],
  gateway: [],
  reserve: [],
  leaseS: 3600,
  dns: ['10.0.0.53'],
  search: [],
  ntp: [],
  option: [],
  route: [],
  ignoreClientId: false,
  ...over,
})

export const inventory = parseInventory(INVENTORY, 'gwswitch.yaml')
export const factsFor = (over: Partial<ServeRequest> = {}) =>
  serverFacts(asked(over), inventory, [{ip: SERVER, prefixLength: 24}])
/** The same with the VM at another site by the inventory, undefined for none. */
export function factsWithVmAt(site: string | undefined): ServerFacts {
  const facts = factsFor()
  const scope = facts.scopes.get('tenant-a')!
  const reservations = new Map(scope.reservations).set(VM_MAC, {...scope.reservations.get(VM_MAC)!, site})
  return {...facts, scopes: new Map(facts.scopes).set('tenant-a', {...scope, reservations})}
}
export const booksFor = (facts: ReturnType<typeof factsFor>) =>
  new Map([...facts.scopes.values()].map(({segment, pool, excluded}) => [segment, leaseBook(pool, excluded)]))

/** A client's message; `options` by name. */
export type Options = {
  readonly [K in keyof typeof dhcpOptions]?: (typeof dhcpOptions)[K] extends DhcpOptionCodec<infer T> ? T : never
}

export function clientMessage(type: number, options: Options = {}, header: Partial<Dhcp> = {}): Dhcp {
  const list: DhcpOption[] = [writeOption(dhcpOptions.messageType, type)]
  for (const [name, value] of Object.entries(options)) {
    const codec = dhcpOptions[name as keyof typeof dhcpOptions] as DhcpOptionCodec<unknown>
    list.push(writeOption(codec, value))
  }
  const none = '0.0.0.0'
  return {
    op: BOOTREQUEST,
    htype: 1,
    hops: 0,
    xid: 0x1122_3344,
    secs: 0,
    flags: 0,
    ciaddr: none,
    yiaddr: none,
    siaddr: none,
    giaddr: none,
    chaddr: STRANGER,
    sname: '',
    file: '',
    options: list,
    ...header,
  }
}

export function clientRequest(
  type: number,
  options: Options = {},
  header: Partial<Dhcp> = {},
  destination = '255.255.255.255',
): ClientRequest {
  const request = readRequest(clientMessage(type, options, header), destination)
  if (typeof request === 'string') throw new Error(`refused: ${request}`)
  return request
}

/** The value of an option of a reply, by name. */
export function option<K extends keyof typeof dhcpOptions>(message: Dhcp | undefined, name: K) {
  const codec = dhcpOptions[name] as DhcpOptionCodec<unknown>
  return message && (readOption(message.options, codec) as Options[K])
}
