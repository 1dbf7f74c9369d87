// Where a VM of the inventory is told, and by which way.
import {type Gateway, machineOf, type Vm} from '../../domain/inventory/site.ts'
import type {AgentTransportKind} from '../../domain/inventory/vm-agent.ts'
import {Failure} from '../../errors.ts'
import {AGENT_PORT} from '../../wire/agent-message.ts'
import {isLinkLocal} from '../../wire/ipv6-address.ts'
import type {AgentTarget, AgentTransport, GatewayPair} from './conversation.ts'

/** What flags say instead of the inventory. */
export interface TargetOrder {
  readonly transport?: AgentTransportKind | undefined
  readonly socket?: string | undefined
  readonly domain?: string | undefined
  readonly connect?: string | undefined
  readonly port?: number | undefined
  readonly id?: string | undefined
  /** 43 characters. */
  readonly agentKey?: string | undefined
  readonly kid?: string | undefined
}

/** @throws Failure `usage` if no way to the VM is known, with what to write or to give. */
export function agentTarget(
  vm: Pick<Vm, 'name' | 'nicOf' | 'ip' | 'agent'> & {readonly mac?: string | undefined},
  flags: TargetOrder = {},
): AgentTarget {
  const agent = vm.agent ?? {}
  const transport = transportOf(vm, flags)
  return {
    name: vm.name,
    id: flags.id ?? agent.id ?? machineOf(vm),
    ip: vm.ip,
    mac: vm.mac ?? null,
    transport,
    agentKey: flags.agentKey ?? agent.key ?? null,
    kid: flags.kid ?? agent.kid ?? null,
  }
}

function transportOf({name, ip, agent = {}}: Pick<Vm, 'name' | 'ip' | 'agent'>, flags: TargetOrder): AgentTransport {
  const key = flags.agentKey ?? agent.key
  const kind = flags.transport ?? agent.transport ?? usual(agent, key, flags)
  if (kind === undefined) throw new Failure('usage', noWay(name, ip))
  if (kind === 'qga') {
    const socket = flags.socket ?? agent.qga
    if (socket === undefined)
      throw new Failure(
        'usage',
        `${name}: transport qga needs the guest agent's socket (--socket PATH, or vms.${name}.agent.qga)`,
      )
    return {kind, socket}
  }
  if (kind === 'libvirt') {
    const domain = flags.domain ?? agent.domain
    if (domain === undefined)
      throw new Failure(
        'usage',
        `${name}: transport libvirt needs the domain (--domain NAME, or vms.${name}.agent.domain)`,
      )
    return {kind, domain, connect: flags.connect ?? agent.connect ?? null}
  }
  if (key === undefined) {
    throw new Failure(
      'usage',
      `${name}: no public key to check its answers by (--agent-key KEY, or vms.${name}.agent.key)`,
    )
  }
  if (kind === 'udp') return {kind, address: agent.address ?? ip, port: flags.port ?? agent.port ?? AGENT_PORT}
  const socket = flags.socket ?? agent.socket
  if (socket === undefined)
    throw new Failure(
      'usage',
      `${name}: transport unix needs the agent's socket (--socket PATH, or vms.${name}.agent.socket)`,
    )
  return {kind, socket}
}

/** An address that no inventory knows is its own name. */
function noWay(name: string, ip: string): string {
  const flags =
    '--agent-key KEY (what "gwswitch agent keygen" printed in the VM), --transport qga --socket PATH, or --domain NAME'
  if (name === ip) return `no way to the agent in ${name} is known: give ${flags}`
  const keys = [`agent.key`, `agent.qga (the socket of its QEMU guest agent)`, `agent.domain (its libvirt domain)`]
  return `no agent is known in ${name}: write ${keys.map((key) => `vms.${name}.${key}`).join(' or ')}, or give ${flags}`
}

function usual(
  agent: NonNullable<Vm['agent']>,
  key: string | undefined,
  flags: TargetOrder,
): AgentTransportKind | undefined {
  if (flags.domain !== undefined) return 'libvirt'
  if (key !== undefined) return agent.socket !== undefined || flags.socket !== undefined ? 'unix' : 'udp'
  if (agent.qga !== undefined) return 'qga'
  return agent.domain === undefined ? undefined : 'libvirt'
}

/** The addresses by which a VM of the inventory reaches a gateway; IPv6 only where both are known to speak it. */
export function gatewayPair(vm: Pick<Vm, 'ip6'>, gateway: Pick<Gateway, 'ip' | 'ip6'>): GatewayPair {
  const v6 = gateway.ip6?.find(isLinkLocal) ?? gateway.ip6?.[0]
  return {v4: gateway.ip, v6: vm.ip6?.length ? (v6 ?? null) : null}
}
