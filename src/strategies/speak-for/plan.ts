// What is said in a VM's name so that routers know it where it is now, decided before anything is sent.
import type {Gateway, Vm} from '../../domain/inventory/site.ts'
import type {Switchover} from '../../domain/inventory/switchover.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {Ipv4, Mac} from '../../wire/address.ts'
import {type Ipv6, isLinkLocal} from '../../wire/ipv6-address.ts'
import {askingLeg} from '../choose-interface.ts'
import type {Scene} from '../scene.ts'

/**
 * Offsets of the rounds, ms. A router whose routing daemon still has the VM from the old site drops what it learns until
 * that has withdrawn it (FRR over EVPN: 0.2 s), so that one early round is none.
 */
export const SPEAK_SCHEDULE_MS: readonly number[] = [0, 50, 200, 450, 800]

/** JSON. */
export interface SpeakPlan {
  readonly vm: {readonly name: string; readonly ip: Ipv4; readonly ip6: readonly Ipv6[]; readonly mac: Mac}
  /** The VM's own port; null: the one at which a bridge of this host has learned it, if there is one. */
  readonly port: string | null
  readonly vlan: number | null
  /** The gateway's leg on this host, where the VM's neighbour entry is written too; null: the gateway is elsewhere. */
  readonly leg: string | null
  readonly gateway: AskedGateway
  readonly scheduleMs: readonly number[]
}

/** Whom the VM is made known to. */
export interface AskedGateway {
  /** For messages. */
  readonly name: string
  /** Null: not known, and everybody is asked. */
  readonly mac: Mac | null
  /** The addresses of it that are asked for in the VM's name; null: none that could be without moving the VM. */
  readonly ip: Ipv4 | null
  readonly ip6: Ipv6 | null
}

/**
 * Whom to ask, for what. The answer goes to the VM, which takes it for an address that it has an entry for: one that no
 * other gateway has is asked for where there is one. `mayMove`: the VM is to use this gateway anyway.
 */
export function askedGateway(gateway: Gateway, all: readonly Gateway[], mayMove: boolean): AskedGateway {
  const {name, ip, ownIp, mac, ip6 = []} = gateway
  // Those at the same MAC give the same answer.
  const others = all.filter((each) => each.mac !== mac)
  const isShared = (address: Ipv4 | Ipv6): boolean =>
    others.some((each) => each.ip === address || each.ip6?.includes(address))
  const alone6 = ip6.filter((each) => !isShared(each))
  const candidate6 = alone6.length > 0 ? alone6 : mayMove ? ip6 : []
  return {
    name,
    mac,
    ip: ownIp ?? (mayMove || !isShared(ip) ? ip : null),
    ip6: candidate6.find((each) => !isLinkLocal(each)) ?? candidate6[0] ?? null,
  }
}

/** Whom a strategy moves, among which gateways, and what this host has. */
interface Moved extends Pick<Switchover, 'vm' | 'segment' | 'to'> {
  readonly interfaces: readonly InterfaceFacts[]
}

/**
 * The part of a strategy's plan; null where neither the VM's port nor the gateway's leg is on this host, and for a VM that
 * may be at another site: made known here it would be cut off there.
 */
export function planSpeaking(
  {interface: here, ask, vantage, vlan, otherSite}: Scene,
  {vm, segment, to, interfaces}: Moved,
  mayMove: boolean,
): SpeakPlan | null {
  if (otherSite) return null
  const leg = askingLeg(interfaces, to.mac, segment, [here, ask.interface])?.name ?? null
  if (vantage === 'host' && leg === null) return null
  return {
    vm: spokenVm(vm.name, vm, to),
    port: vantage === 'port' ? here : null,
    ...{vlan, leg, gateway: askedGateway(to, segment.gateways, mayMove), scheduleMs: SPEAK_SCHEDULE_MS},
  }
}

/** The VM as it is spoken for: its IPv6 not to a gateway that has none, whose tables know no way to it. */
export const spokenVm = (
  name: string,
  {ip, mac, ip6 = []}: Pick<Vm, 'ip' | 'mac' | 'ip6'>,
  to: Pick<Gateway, 'ip6'>,
): SpeakPlan['vm'] => ({name, ip, ip6: to.ip6?.length ? ip6 : [], mac})

/** Whether an answer from this MAC shows that the gateway has the VM: a fabric that answers for others is not it. */
export const isFromGateway = ({gateway}: SpeakPlan, mac: Mac): boolean => gateway.mac === null || gateway.mac === mac

/** The addresses that routers shall know. */
export const knownAddresses = ({vm}: SpeakPlan): readonly (Ipv4 | Ipv6)[] => [
  vm.ip,
  ...vm.ip6.filter((ip) => !isLinkLocal(ip)),
]

/** One line, for people. */
export function describeSpeaking({vm, leg, gateway, scheduleMs}: SpeakPlan): string {
  const asked = [gateway.ip, gateway.ip6].filter((ip) => ip !== null).join(' and ')
  const frames =
    asked === ''
      ? []
      : [
          `ask ${gateway.name} for ${asked} as ${vm.name}, through its own port if it is here, at ${scheduleMs.join('/')} ms`,
        ]
  const entry = leg === null ? [] : [`write its neighbour entry at ${leg}`]
  return `make ${vm.name} known to whoever routes to it: ${[...frames, ...entry].join(', and ')}`
}
