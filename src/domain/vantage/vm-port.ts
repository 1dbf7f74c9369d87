// At which port of this host a VM is, and whether something may be sent there in its place.
import {Failure} from '../../errors.ts'
import type {Mac} from '../../wire/address.ts'

/** A network interface of this host, by what it is. */
export interface HostLink {
  readonly name: string
  readonly mac: Mac
  /** ip-link(8)'s kind (`veth`, `tap`, `macvtap`, `vxlan`, `bond`, ...); `device` for a card's own. */
  readonly kind: string
  /** What it is a port of, and that one's kind. */
  readonly master: {readonly name: string; readonly kind: string} | undefined
}

/** Where a bridge has learned a MAC. */
export interface LearnedMac {
  readonly mac: Mac
  readonly port: string
}

/** A VM as it is looked for. */
export interface SoughtVm {
  /** For messages. */
  readonly label: string
  readonly mac: Mac
}

export interface VmPort {
  readonly name: string
  readonly kind: string
  readonly bridge: string
}

/** Kinds of interface that lead to one VM, and whose incoming frames the kernel takes from elsewhere too. */
const VM_KINDS: ReadonlySet<string> = new Set(['tap', 'veth'])
/** They share a card's MACs, and nothing passes between them and a bridge here. */
const ON_A_CARD: ReadonlySet<string> = new Set(['macvtap', 'macvlan', 'ipvtap', 'ipvlan'])

/**
 * The port that a bridge of this host has learned a VM's MAC at; `wanted` names it where there are several.
 * @throws Failure `runtime` where there is none.
 */
export function portOfVm(
  vm: SoughtVm,
  links: readonly HostLink[],
  learned: readonly LearnedMac[],
  wanted: string | undefined,
): VmPort {
  const found = [...new Set(learned.filter(({mac}) => mac === vm.mac).map(({port}) => port))]
  const ports = wanted === undefined ? found : found.filter((port) => port === wanted)
  if (ports.length === 0) throw new Failure('runtime', absence(vm, links, found, wanted))
  if (ports.length > 1)
    throw new Failure('runtime', `${vm.label} was seen at ${ports.join(' and ')}: say which with -i`)
  const link = links.find(({name}) => name === ports[0])
  if (link?.master?.kind !== 'bridge')
    throw new Failure('runtime', `${ports[0]} is no port of a Linux bridge any more: nothing is known of ${vm.label}`)
  return {name: link.name, kind: link.kind, bridge: link.master.name}
}

function absence(
  vm: SoughtVm,
  links: readonly HostLink[],
  found: readonly string[],
  wanted: string | undefined,
): string {
  const onCard = links.find(({mac, kind}) => mac === vm.mac && ON_A_CARD.has(kind))
  if (onCard)
    return `${vm.label} is on ${onCard.name}, a ${onCard.kind}: nothing can stand or listen in its place there: run trace in the VM`
  const link = links.find(({name}) => name === wanted)
  if (wanted !== undefined && link === undefined) return `no interface ${wanted} here`
  if (link?.master && link.master.kind !== 'bridge')
    return `${link.name} is a port of ${link.master.name} (${link.master.kind}), not of a Linux bridge: whether a VM is unharmed there cannot be seen`
  if (found.length > 0) return `${vm.label} (${vm.mac}) is at ${found.join(', ')}, not at ${wanted}`
  return `no bridge of this host has learned ${vm.mac} (${vm.label}): it is not here, or has sent nothing for long`
}

/** Whether somebody else was learned behind the VM's port too. */
export const isShared = ({name}: VmPort, {mac}: SoughtVm, learned: readonly LearnedMac[]): boolean =>
  learned.some((each) => each.port === name && each.mac !== mac)

/**
 * Makes sure that frames can be laid into the port as the VM's own without harm: it must lead to one VM alone.
 * `named` by the user, it may lead to several stations (containers in the VM); `insist` is how they say so.
 * @throws Failure `runtime` in one line.
 */
export function expectInjectable(
  vm: SoughtVm,
  port: VmPort,
  learned: readonly LearnedMac[],
  named: boolean,
  insist = `-i ${port.name}`,
): void {
  if (!VM_KINDS.has(port.kind)) {
    throw new Failure(
      'runtime',
      `${vm.label} is behind ${port.name} (${port.kind}), not on this host: run this where it is`,
    )
  }
  if (!named && isShared(port, vm, learned)) {
    const others = new Set(learned.filter((each) => each.port === port.name && each.mac !== vm.mac).map(({mac}) => mac))
    const count = others.size === 1 ? 'another station' : `${others.size} other stations`
    throw new Failure(
      'runtime',
      `behind ${port.name} there is ${count} beside ${vm.label}: if it is the VM's own port, and no way to others, say ${insist}`,
    )
  }
}

/** The one MAC that was learned at a port. @throws Failure `usage` if there is none, or more than one. */
export function macAtPort(port: string, learned: readonly LearnedMac[]): Mac {
  const macs = [...new Set(learned.filter((each) => each.port === port).map(({mac}) => mac))]
  if (macs.length === 1) return macs[0]!
  const what = macs.length === 0 ? 'nobody was seen yet' : `there are ${macs.length} stations`
  throw new Failure('usage', `behind ${port} ${what}: say whose traffic with --port-of VM`)
}
