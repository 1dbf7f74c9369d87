// What the ARP strategy will do, decided before anything is sent.
import type {Switchover} from '../../domain/switchover.ts'
import {Failure} from '../../errors.ts'
import type {InterfaceFacts} from '../../net/ip.ts'
import type {World} from '../../net/world.ts'
import {type Ipv4, type Mac, type Prefix, prefixContains} from '../../wire/address.ts'
import type {StrategyOptions} from '../strategy.ts'
import {announcementFrame, type Form} from './frames.ts'
import {DEFAULT_SCHEDULE_MS} from './schedule.ts'

/** A gateway as the plan keeps it. */
export interface PlannedGateway {
  readonly name: string
  readonly site: string
  readonly mac: Mac
}

/** JSON; see `Strategy.plan`. Times in ms. */
export interface ArpPlan {
  readonly strategy: 'arp'
  readonly interface: string
  readonly vlan: number | null
  readonly vm: {readonly name: string; readonly ip: Ipv4; readonly mac: Mac}
  readonly segment: {readonly name: string; readonly prefix: string}
  readonly gatewayIp: Ipv4
  readonly from: PlannedGateway
  readonly to: PlannedGateway
  readonly scheduleMs: readonly number[]
  readonly forms: readonly {readonly form: Form; readonly fromMs: number}[]
  readonly frames: readonly {readonly form: Form; readonly text: string; readonly hex: string}[]
}

/** `ask` moves every VM that takes requests; from the fourth round a gratuitous reply reaches those that ignore them. */
const FORMS: ArpPlan['forms'] = [
  {form: 'ask', fromMs: 0},
  {form: 'reply', fromMs: 700},
]

/** @throws Failure `usage` where the gateway IP would change, or no interface fits. */
export async function planArp(switchover: Switchover, options: StrategyOptions, world: World): Promise<ArpPlan> {
  const {vm, segment, from, to} = switchover
  if (from.ip !== to.ip) {
    throw new Failure(
      'usage',
      `the arp strategy keeps the gateway IP, but ${from.name} is ${from.ip} and ${to.name} is ${to.ip}: ` +
        'such a segment needs a strategy that changes the VM or its lease',
    )
  }
  const via = chooseInterface(await world.interfaces(), {name: options.interfaceName, to: to.mac, vm: vm.mac, prefix: segment.prefix, segment: segment.name})
  const vlan = options.vlanId === undefined ? undefined : {id: options.vlanId, priority: 0, dropEligible: false}
  const frames = FORMS.map(({form}) => announcementFrame(form, {ip: to.ip, mac: to.mac}, {vm, vlan}, via.mac))
  const gateway = ({name, site, mac}: PlannedGateway): PlannedGateway => ({name, site, mac})
  return {
    strategy: 'arp',
    interface: via.name,
    vlan: options.vlanId ?? null,
    vm: {name: vm.name, ip: vm.ip, mac: vm.mac},
    segment: {name: segment.name, prefix: `${segment.prefix.address}/${segment.prefix.length}`},
    gatewayIp: to.ip,
    from: gateway(from),
    to: gateway(to),
    scheduleMs: DEFAULT_SCHEDULE_MS,
    forms: FORMS,
    frames: frames.map(({form, text, bytes}) => ({form, text, hex: Buffer.from(bytes).toString('hex')})),
  }
}

/** The one named, else the gateway's own leg on the segment, else any leg on it. */
function chooseInterface(
  all: readonly InterfaceFacts[],
  want: {name: string | undefined; to: Mac; vm: Mac; prefix: Prefix; segment: string},
): InterfaceFacts {
  const usable = all.filter((candidate) => candidate.ethernet)
  const named = want.name === undefined ? undefined : usable.find((candidate) => candidate.name === want.name)
  if (want.name !== undefined && !named) {
    throw new Failure('runtime', `no interface ${want.name} here; Ethernet interfaces are: ${usable.map(({name}) => name).join(', ') || 'none'}`)
  }
  const onSegment = (candidate: InterfaceFacts): boolean =>
    candidate.addresses.some(({ip, prefixLength}) => prefixLength < 32 && prefixContains(want.prefix, ip))
  const chosen = named ?? usable.find(({mac}) => mac === want.to) ?? usable.find(onSegment)
  if (!chosen) {
    throw new Failure('usage', `no interface here is on segment ${want.segment}: name the VM's port or the gateway's leg with -i`)
  }
  if (chosen.mac === want.vm) {
    throw new Failure('usage', `${chosen.name} is the VM itself: run this at its new site's gateway or on its hypervisor`)
  }
  return chosen
}
