// What `notify-agent` was asked for, read against the inventory: every VM with its way, its order and its key.
import {findSegment, findVm, type Gateway, type Inventory, type Vm} from '../../domain/inventory/site.ts'
import {resolveSwitchover} from '../../domain/inventory/switchover.ts'
import type {AgentTransportKind} from '../../domain/inventory/vm-agent.ts'
import {Failure} from '../../errors.ts'
import {type GatewayPair, isSigned, type SwitchOrder} from '../../strategies/agent/conversation.ts'
import {readAgentKey, readSigningKey} from '../../strategies/agent/keys.ts'
import {agentTarget, gatewayPair} from '../../strategies/agent/target.ts'
import {type Ipv4, isIpv4} from '../../wire/address.ts'
import {isAgentId, PROBE_LIMIT, type SigningKey, type SwitchMode} from '../../wire/agent-message.ts'
import {type Ipv6, readIp} from '../../wire/ipv6-address.ts'
import type {NotifyRequest} from './notify.ts'

/** The command line, as typed. */
export interface NotifyOrder {
  readonly vms: readonly string[]
  readonly to?: string | undefined
  readonly gateway: readonly string[]
  readonly from: readonly string[]
  readonly key?: string | undefined
  readonly kid?: string | undefined
  readonly agentKey?: string | undefined
  readonly id?: string | undefined
  readonly transport?: string | undefined
  readonly socket?: string | undefined
  readonly domain?: string | undefined
  readonly connect?: string | undefined
  readonly port?: number | undefined
  readonly mode?: string | undefined
  readonly probe: readonly string[]
  readonly confirmS: number
  readonly timeoutMs: number
  /** Where this host can see what the VM sends. */
  readonly interfaceName?: string | undefined
}

/** What the order is about, and the key that the inventory has for it. */
interface Wanted {
  readonly to: GatewayPair
  readonly site: string | null
  readonly agentKey: string | undefined
  /** The one gateway that is meant, where the inventory knows it. */
  readonly gateway?: Gateway | undefined
}

const NO_ONE: GatewayPair = {v4: null, v6: null}
const NOWHERE = {site: null, agentKey: undefined}

/** @throws Failure `usage`, before anything is sent. */
export function readNotices(flags: NotifyOrder, inventory: Inventory | undefined, run: string): NotifyRequest[] {
  if (flags.vms.length === 0) throw new Failure('usage', 'name a VM of the inventory, or the address of one')
  if ((flags.to === undefined) === (flags.gateway.length === 0))
    throw new Failure('usage', 'give either --gateway IP or --to SITE')
  if (flags.vms.length > 1) {
    const single = (['id', 'socket', 'domain', 'agentKey'] as const).find((name) => flags[name] !== undefined)
    if (single)
      throw new Failure(
        'usage',
        `--${single === 'agentKey' ? 'agent-key' : single} is of one VM: with several, write it into the inventory`,
      )
  }
  if (flags.probe.length > PROBE_LIMIT)
    throw new Failure('usage', `${flags.probe.length} probes (want ${PROBE_LIMIT} at most)`)
  if (flags.id !== undefined && !isAgentId(flags.id))
    throw new Failure('usage', `--id ${flags.id}: is no id (want 1 to 64 of letters, digits, ".", "_", ":", "-")`)
  const keys = new Map<string, SigningKey>()
  const keyOf = (file: string): SigningKey => {
    const key = keys.get(file) ?? readSigningKey(file, flags.key === file ? flags.kid : undefined)
    keys.set(file, key)
    return key
  }
  const seen = new Set<string>()
  return flags.vms.map((name) => {
    const notice = noticeFor(name, flags, inventory, run, keyOf)
    if (seen.has(notice.target.name)) throw new Failure('usage', `${name} is named twice`)
    seen.add(notice.target.name)
    return notice
  })
}

function noticeFor(
  name: string,
  flags: NotifyOrder,
  inventory: Inventory | undefined,
  run: string,
  keyOf: (file: string) => SigningKey,
): NotifyRequest {
  const vm = inventory && findVm(inventory, name)
  const known = vm ?? stranger(name, inventory)
  const {to, site, agentKey, gateway} =
    vm && inventory
      ? wantedOf(flags, inventory, vm)
      : {...NOWHERE, to: pairOf('--gateway', flags.gateway), gateway: undefined}
  const target = agentTarget(known, {
    ...{
      id: flags.id,
      socket: flags.socket,
      domain: flags.domain,
      connect: flags.connect,
      port: flags.port,
      kid: flags.kid,
    },
    transport: flags.transport as AgentTransportKind | undefined,
    agentKey: flags.agentKey === undefined ? undefined : readAgentKey(flags.agentKey),
  })
  const order: SwitchOrder = {
    run,
    site,
    to,
    from: flags.from.length > 0 ? pairOf('--from', flags.from) : NO_ONE,
    mode: (flags.mode as SwitchMode | undefined) ?? vm?.agent?.mode ?? null,
    probes:
      flags.probe.length > 0 ? flags.probe.map((probe) => addressOf('--probe', probe)) : (vm?.agent?.probes ?? []),
    confirmS: flags.confirmS,
    timeoutMs: flags.timeoutMs,
  }
  const about = vm && gateway && {vm, to: gateway}
  if (!isSigned(target.transport)) return {target, order, key: undefined, about}
  const file = flags.key ?? agentKey
  if (file === undefined) {
    throw new Failure(
      'usage',
      `no key to sign the order to ${known.name} with: give --key FILE${site === null ? '' : `, or write sites.${site}.agentKey`}`,
    )
  }
  return {target, order, key: keyOf(file), about}
}

/** A VM that is in no inventory: its address is all that is known. */
function stranger(name: string, inventory: Inventory | undefined): Pick<Vm, 'name' | 'ip'> {
  const ip = readIp(name)
  if (ip !== undefined) return {name: ip, ip}
  throw new Failure(
    'usage',
    inventory
      ? `${inventory.file}: no VM "${name}", and it is no address`
      : `${name} is no address, and there is no inventory that knows it (-f FILE, or ./gwswitch.yaml)`,
  )
}

/** The gateway that is meant, with all that the inventory knows of it. */
function wantedOf(flags: NotifyOrder, inventory: Inventory, vm: Vm): Wanted {
  if (flags.to !== undefined) {
    const {to} = resolveSwitchover(inventory, {vm: vm.name, to: flags.to})
    return {to: gatewayPair(vm, to), site: to.site, agentKey: to.agentKey, gateway: to}
  }
  const gateways = findSegment(inventory, vm.segment)?.gateways ?? []
  const named = flags.gateway.length === 1 ? gateways.find(({name}) => name === flags.gateway[0]) : undefined
  if (named) return {to: gatewayPair(vm, named), site: named.site, agentKey: named.agentKey, gateway: named}
  const to = pairOf('--gateway', flags.gateway)
  return {...NOWHERE, ...atOneSite(gateways, to), to, gateway: gateways.find(({ip}) => ip === to.v4)}
}

/** The site of the gateways at these addresses, if they are at one. */
function atOneSite(gateways: readonly Gateway[], {v4, v6}: GatewayPair): Pick<Wanted, 'site' | 'agentKey'> | undefined {
  const [first, ...others] = gateways.filter(({ip, ip6}) => ip === v4 || (v6 !== null && ip6?.includes(v6)))
  return first && others.every(({site}) => site === first.site)
    ? {site: first.site, agentKey: first.agentKey}
    : undefined
}

function pairOf(flag: string, texts: readonly string[]): GatewayPair {
  const ips = texts.map((text) => addressOf(flag, text))
  const [v4, ...more4] = ips.filter(isIpv4)
  const [v6, ...more6] = ips.filter((ip) => !isIpv4(ip))
  if (more4.length + more6.length > 0)
    throw new Failure('usage', `${flag}: ${texts.join(', ')} (want one address of each family at most)`)
  return {v4: v4 ?? null, v6: v6 ?? null}
}

function addressOf(flag: string, text: string): Ipv4 | Ipv6 {
  const ip = readIp(text)
  if (ip !== undefined) return ip
  throw new Failure('usage', `${flag} ${text}: is not an IP address (want 10.0.0.2 or fe80::2)`)
}
