// What `switch` says on a terminal.
import {timeline} from '../../render/timeline.ts'
import type {SwitchEnd} from '../../strategies/carry-out.ts'
import type {SwitchDocument} from './run-switch.ts'

export function switchText(document: SwitchDocument): string[] {
  const {vm, from, to, strategy, steps, describe, dryRun} = document
  const lines = [
    `${vm.name} (${vm.ip}, ${vm.segment})  from ${(document.before ?? from).name} (site ${(document.before ?? from).site})  to ${to.name} (site ${to.site})  by ${strategy}`,
    ...document.passedOver.map(({strategy: name, reason}) => `  not by ${name}: ${reason}`),
    '',
    ...describe.map((line, i) => `  ${i + 1}. ${line}`),
    '',
  ]
  if (dryRun) return [...lines, 'dry run: nothing was sent']
  for (const {step, events, durationMs} of steps) {
    lines.push(`${step} (${durationMs.toFixed(1)} ms)`, ...timeline(events), '')
  }
  return [...lines, ...endText(document)]
}

/** One word for each end, and what it means. */
const HEADS: Readonly<Record<SwitchEnd, (document: SwitchDocument) => [head: string, says: string]>> = {
  switched: ({vm, to}) => ['SWITCHED', `${vm.name} is served by ${to.name} (site ${to.site})`],
  accepted: ({vm, to, code, steps}) => [
    'UNVERIFIED',
    steps.some(({step}) => step === 'execute')
      ? `${vm.name} was told to use ${to.name}, and left so as asked (${code})`
      : `nothing is left to do for ${vm.name} to use ${to.name}; it is left so as asked (${code})`,
  ],
  already: ({vm, to}) => ['ALREADY', `${vm.name} uses ${to.name} (site ${to.site}); nothing was changed`],
  'not-begun': ({vm, code}) => ['NOT BEGUN', `nothing was changed at ${vm.name}${code === null ? '' : ` (${code})`}`],
  'rolled-back': ({vm, to}) => [
    'ROLLED BACK',
    `${vm.name} is as it was: the network did not agree that ${to.name} serves it`,
  ],
  lost: ({vm, to}) => ['LOST', `${vm.name} was switched to ${to.name}, and moved away by somebody else`],
  unknown: ({vm, to}) => ['UNKNOWN', `${vm.name} was told to use ${to.name}; it could not be put back for certain`],
}

function endText(document: SwitchDocument): string[] {
  const {end, evidence, error, rollback, rollbackError, vm, uses} = document
  const [head, says] = HEADS[end!](document)
  const now = uses
    ? `${vm.name} uses ${uses.name} (site ${uses.site}) now`
    : `which gateway ${vm.name} uses now is unknown`
  const because = [
    // What kept it from being begun is said on stderr.
    ...(error && end !== 'not-begun' ? [`because: ${error.message}`] : []),
    ...evidence,
    ...(rollback ? rollback.evidence.map((line) => `after the rollback: ${line}`) : []),
    ...(rollbackError ? [`the rollback failed: ${rollbackError.message}`] : []),
    ...(end === 'switched' || end === 'already' ? [] : [now]),
  ]
  return [`${head.padEnd(11)} ${says}`, ...because.map((line) => `            ${line}`)]
}
