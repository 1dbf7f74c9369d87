// What `switch` says on a terminal.
import {timeline} from '../../render/timeline.ts'
import type {SwitchDocument} from './run-switch.ts'

export function switchText(document: SwitchDocument): string[] {
  const {vm, from, to, strategy, steps, describe, dryRun} = document
  const lines = [
    `${vm.name} (${vm.ip}, ${vm.segment})  from ${from.name} (site ${from.site})  to ${to.name} (site ${to.site})  by ${strategy}`,
    ...document.passedOver.map(({strategy: name, reason}) => `  not by ${name}: ${reason}`),
    '',
    ...describe.map((line, i) => `  ${i + 1}. ${line}`),
    '',
  ]
  if (dryRun) return [...lines, 'dry run: nothing was sent']
  for (const {step, events, durationMs} of steps) {
    lines.push(`${step} (${durationMs.toFixed(1)} ms)`, ...timeline(events), '')
  }
  return [...lines, ...verdict(document)]
}

function verdict({verified, evidence, rollback, from, to, vm}: SwitchDocument): string[] {
  const because = evidence.map((line) => `            ${line}`)
  if (verified) return [`SWITCHED    ${vm.name} uses ${to.name} (site ${to.site})`, ...because]
  const back = rollback?.ok
    ? `${vm.name} is as it was, on ${from.name}`
    : `the rollback could not be confirmed: ${rollback?.evidence.join('; ') ?? 'no answer'}`
  return [`ROLLED BACK the network does not agree that ${vm.name} uses ${to.name}`, ...because, `            ${back}`]
}
