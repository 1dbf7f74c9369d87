// What a switch leaves in the record of a controller: that it was ordered, how it ended, and what its guard did.
import type {AuditEvent} from '../../net/file/audit-log.ts'
import type {Verdict} from '../../strategies/strategy.ts'
import type {Prepared, SwitchDocument} from './run-switch.ts'

const WARNING = 4
const NOTICE = 5

/** Written before anything is done: what kills the process in between does not hide that it was. */
export function orderedEvent({switchover: {vm, segment, to}, strategy}: Prepared): AuditEvent {
  return {
    event: 'order',
    message: `${vm.name} (${vm.ip}, ${segment.name}) to ${to.name} (site ${to.site}) by ${strategy.name}`,
    priority: NOTICE,
    fields: {vm: vm.name, ip: vm.ip, mac: vm.mac, to: to.name, strategy: strategy.name},
  }
}

/** `from`: the gateway that the VM was seen to use before; `uses`: the one that it was last seen to use. */
export function endedEvent(document: SwitchDocument): AuditEvent {
  const {vm, before, to, uses, strategy, end, code, exitCode} = document
  const outcome = end?.replace('-', '_')
  const detail = saidBy(document)
  return {
    event: 'switch',
    message: `${vm.name}${before ? ` from ${before.name}` : ''} to ${to.name} by ${strategy}: ${outcome?.replace('_', ' ')}${detail === '' ? '' : `: ${detail}`}`,
    priority: end === 'switched' || end === 'already' ? NOTICE : WARNING,
    fields: {
      ...{vm: vm.name, from: before?.name, to: to.name, uses: uses?.name, strategy, outcome, detail},
      ...{code: code ?? undefined, exit: exitCode},
    },
  }
}

const saidBy = ({error, evidence, rollback, rollbackError}: SwitchDocument): string =>
  [error?.message, ...evidence, ...(rollback?.evidence ?? []), rollbackError?.message]
    .filter((line) => line !== undefined)
    .join('; ')

/** The process that began it is dead. */
export function guardEvent(vm: string, strategy: string, {ok, evidence}: Pick<Verdict, 'ok' | 'evidence'>): AuditEvent {
  const detail = evidence.join('; ')
  const outcome = ok ? 'rolled_back' : 'unknown'
  return {
    event: 'guard',
    message: `the switch of ${vm} was cut short; ${ok ? 'rolled back' : 'whether it is as it was is not known'}: ${detail}`,
    priority: WARNING,
    fields: {vm, strategy, outcome, detail},
  }
}
