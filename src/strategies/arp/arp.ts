// The ARP strategy: the gateway IP stays, the VM's neighbour entry for it moves to the new site's MAC.
import type {Link} from '../../net/link.ts'
import {vmFilter} from '../../probe/vm-watch.ts'
import {type Mac, readPrefix} from '../../wire/address.ts'
import type {Vlan} from '../../wire/ethernet.ts'
import type {Stage, Strategy, Verdict} from '../strategy.ts'
import {type AnnounceReport, type AnnounceRequest, announce} from './announce.ts'
import {type ArpPlan, planArp} from './plan.ts'

/** Rounds of the check: an echo each, until one is answered. */
const CHECK_MS = [0, 200, 600]
const LISTEN_MS = 1000

export const arp: Strategy<ArpPlan> = {
  name: 'arp',
  summary: "moves the VM's neighbour entry for a gateway IP that all sites share",
  traits: {
    controlledAt: 'router or bridge',
    layer: 'L2',
    gatewayIp: 'stays',
    sessions: 'kept',
    needs: "one gateway IP at every site, ARP for it kept inside each site; run at the new site's gateway or hypervisor",
  },
  plan: planArp,
  async execute(plan, stage) {
    await onLink(plan, stage, (link) => point(plan, plan.to.mac, link, stage))
  },
  async verify(plan, stage) {
    return onLink(plan, stage, async (link) => verdictOf(plan, await check(plan, plan.to.mac, link, stage), plan.to, link))
  },
  async rollback(plan, stage) {
    return onLink(plan, stage, async (link) => verdictOf(plan, await point(plan, plan.from.mac, link, stage), plan.from, link))
  },
  describe: (plan) => [
    `tell ${plan.vm.name} (${plan.vm.ip}), and nobody else, that ${plan.gatewayIp} is at ${plan.to.mac} (${plan.to.name}, site ${plan.to.site})`,
    `by an ARP request to ${plan.vm.mac} out of ${plan.interface}, repeated at ${plan.scheduleMs.join('/')} ms until it follows`,
    `check it by an echo from ${plan.gatewayIp}: the answer goes to the MAC that the VM now uses`,
    `otherwise tell it again that ${plan.gatewayIp} is at ${plan.from.mac} (${plan.from.name}, site ${plan.from.site})`,
  ],
}

const vlanOf = (plan: ArpPlan): Vlan | undefined =>
  plan.vlan === null ? undefined : {id: plan.vlan, priority: 0, dropEligible: false}

async function onLink<T>(plan: ArpPlan, {world}: Stage, use: (link: Link) => Promise<T>): Promise<T> {
  const vm = {...plan.vm, vlan: vlanOf(plan)}
  // Promiscuous: on the VM's own port its answers pass by, but they are for the gateway.
  const link = await world.openLink(plan.interface, {filter: vmFilter(vm, true), promiscuous: true})
  try {
    return await use(link)
  } finally {
    await link.close()
  }
}

function request(plan: ArpPlan, mac: Mac): Omit<AnnounceRequest, 'forms' | 'scheduleMs'> {
  return {
    gateway: {ip: plan.gatewayIp, mac},
    vm: plan.vm,
    vlan: vlanOf(plan),
    segment: readPrefix(plan.segment.prefix),
    listenMs: LISTEN_MS,
  }
}

async function point(plan: ArpPlan, mac: Mac, link: Link, stage: Stage): Promise<AnnounceReport> {
  return told(stage, await announce(link, stage.world, {...request(plan, mac), forms: plan.forms, scheduleMs: plan.scheduleMs}, stage.signal))
}

/** Asks without telling: echoes alone change nothing in the VM. */
async function check(plan: ArpPlan, mac: Mac, link: Link, stage: Stage): Promise<AnnounceReport> {
  return told(stage, await announce(link, stage.world, {...request(plan, mac), forms: [], scheduleMs: CHECK_MS}, stage.signal))
}

function told(stage: Stage, report: AnnounceReport): AnnounceReport {
  for (const {atNs, text} of report.events) stage.observe({atNs, text})
  return report
}

function verdictOf(plan: ArpPlan, report: AnnounceReport, wanted: ArpPlan['to'], link: Link): Verdict {
  const {vm, to, from} = plan
  const used = report.gatewayUsed
  if (used === wanted.mac) return {ok: true, evidence: [`${vm.name} sends to ${wanted.name} (${wanted.mac})`]}
  if (used !== undefined) {
    const known = [to, from].find(({mac}) => mac === used)
    const where = known ? `${known.name} (${used})` : `${used}, which is no gateway of this segment`
    return {ok: false, evidence: [`${vm.name} sends to ${where}`, 'a permanent neighbour entry in the VM would explain it']}
  }
  if (report.verdict === 'silent') return {ok: false, evidence: [`${vm.name} is silent: no answer to ARP or echo`]}
  // What goes to another MAC does not pass a gateway's own leg: there, hearing nothing is the evidence.
  const heardHere = link.mac === to.mac
  if (heardHere && wanted.mac === from.mac) return {ok: true, evidence: [`${vm.name} answers ARP and sends nothing to ${to.name} any more`]}
  return {
    ok: false,
    evidence: [
      `${vm.name} answers ARP, but none of its echo answers come to ${heardHere ? to.name : plan.interface}`,
      'a permanent neighbour entry in the VM would explain it, or a VM that drops ICMP',
    ],
  }
}
