// What was seen of a VM's being known, and nothing else.
import type {Kept} from './keeper.ts'
import {isFromGateway, type SpeakPlan} from './plan.ts'
import type {Heard, SpeakReport} from './speak.ts'

/**
 * `known`: its neighbour entry stands at the gateway's own leg here and packets leave by it, or, where the gateway is
 * elsewhere, it answered the VM. `contested`: at the leg here another's word still stands, or the VM left its port meanwhile.
 * `unanswered`: nothing was seen.
 */
export type KnownVerdict = 'known' | 'contested' | 'unanswered'

export interface KnownJudgement {
  readonly verdict: KnownVerdict
  /** One line a piece. */
  readonly evidence: readonly string[]
}

export function judgeKnown(plan: SpeakPlan, {answers, inbound, kept, cut}: SpeakReport): KnownJudgement {
  const theirs = answers.filter(({mac}) => isFromGateway(plan, mac))
  const isKept = kept.length > 0 && kept.every(({settled}) => settled)
  const isContested = cut?.midway === true || (kept.length > 0 && !isKept)
  const verdict = isContested ? 'contested' : isKept || theirs.length > 0 ? 'known' : 'unanswered'
  const evidence = [
    ...(verdict === 'unanswered' ? [`${plan.gateway.name} did not answer ${plan.vm.name}`] : []),
    ...kept.map((each) => keptText(plan, each)),
    ...answers.map((each) => answerText(plan, each)),
    ...(inbound ? [`an answer of ${inbound.ip} reached ${plan.vm.name} through ${inbound.mac}`] : []),
    ...(cut === undefined ? [] : [`nothing more was said at the port of ${plan.vm.name}: ${cut.why}`]),
  ]
  return {verdict, evidence}
}

function keptText({leg, vm}: SpeakPlan, {ip, settled, way, writes, contested, afterMs}: Kept): string {
  const times = writes === 0 ? 'stood already' : writes === 1 ? 'written once' : `written ${writes} times`
  if (!settled && way === undefined) return `there is no way to ${ip} here (entry ${times})`
  if (!settled && way !== leg)
    return `packets for ${ip} still leave by ${way}, not by ${leg}: the old site has not withdrawn it (entry ${times})`
  if (!settled && !contested) return `the entry of ${ip} at ${leg} was not seen to stand (${times})`
  if (!settled) return `the entry of ${ip} at ${leg} does not stand: somebody else writes it too (${times})`
  const since = contested ? `; nothing to the contrary since ${afterMs.toFixed(0)} ms` : ''
  return `${leg} has ${ip} at ${vm.mac} (${times}), and packets for it leave there${since}`
}

function answerText(plan: SpeakPlan, {ip, mac, afterMs}: Heard): string {
  const {gateway, vm} = plan
  const after = `after ${afterMs.toFixed(1)} ms`
  return isFromGateway(plan, mac)
    ? `${gateway.name} answered ${vm.name} for ${ip} from ${mac} ${after}`
    : `${mac}, not ${gateway.name} (${gateway.mac}), answered ${vm.name} for ${ip} ${after}`
}
