// Keeps a verified VM on its gateway for the time that was asked for, and says who tried to move it.
import {readPrefix} from '../../wire/address.ts'
import {isLinkLocal, isVersion6} from '../../wire/ipv6-address.ts'
import {vlanOf} from '../scene.ts'
import type {Stage, Verdict} from '../strategy.ts'
import {attemptText, type GuardReport, type GuardRequest, guard, guardEvidence, guardFilter} from './guard.ts'
import type {ArpPlan} from './plan.ts'
import {type Target, targets} from './targets.ts'

/** Guards every address for the plan's time. Attempts that were answered are evidence, not failure. */
export async function hold(plan: ArpPlan, {world, signal, observe}: Stage, verified: Verdict): Promise<Verdict> {
  if (plan.guardMs === 0) return verified
  // Promiscuous: on the VM's own port its answers pass by. Outgoing: what others send to it leaves through that port.
  const options = {filter: guardFilter(plan.vm.mac), promiscuous: true, outgoing: true}
  const link = await world.openLink(plan.interface, options)
  try {
    const guardRequest = ({request: {gateway, vm, echoFrom}}: Target, routers: boolean): GuardRequest => ({
      ...{vlan: vlanOf(plan), segment: readPrefix(plan.segment.prefix), forMs: plan.guardMs},
      ...{gateway, vm: vm!, echoFrom, routers, gateways: plan.gateways},
    })
    const all = targets(plan, plan.to)
    const routed = all.find(({gatewayIp}) => isLinkLocal(gatewayIp)) ?? all.find(({gatewayIp}) => isVersion6(gatewayIp))
    const reports = await Promise.all(
      all.map((target) =>
        guard(link, world, guardRequest(target, target === routed), signal, (attempt) =>
          observe({
            atNs: attempt.atNs,
            text: `moved back? ${attemptText(attempt)}`,
            frame: attempt.hex === undefined ? undefined : {direction: 'in', kind: 'claim', hex: attempt.hex},
          }),
        ),
      ),
    )
    return judgeHeld(plan, verified, reports)
  } finally {
    await link.close()
  }
}

function judgeHeld(plan: ArpPlan, verified: Verdict, reports: readonly GuardReport[]): Verdict {
  const evidence = reports.flatMap((report) => guardEvidence(report))
  const lost = reports.filter(({holds}) => !holds)
  if (lost.length === 0) return {...verified, evidence: [...verified.evidence, ...evidence]}
  const uses = plan.scene.gateways.find(({mac}) => mac === lost[0]!.gatewayUsed) ?? null
  const code = lost.length === reports.length ? 'elsewhere' : 'partial'
  return {ok: false, code, uses, evidence: [...lost.map((report) => lostText(plan, report)), ...evidence]}
}

function lostText(plan: ArpPlan, {gatewayIp, gatewayUsed}: GuardReport): string {
  const known = plan.gateways.find(({mac}) => mac === gatewayUsed)
  return `${plan.vm.name} did not stay on ${plan.to.name} for ${gatewayIp}: last seen sending to ${known ? `${known.name} (${known.mac})` : (gatewayUsed ?? 'nobody here')}`
}
