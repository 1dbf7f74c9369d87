// What an agent writes down of what is wanted of it.
import type {SwitchRecord} from '../../domain/agent/memory.ts'
import type {Outcome} from '../../domain/agent/reception.ts'
import type {AuditEvent} from '../../net/file/audit-log.ts'
import type {AgentCommand, Echo} from '../../wire/agent-message.ts'

const WARNING = 4
const NOTICE = 5

/** An answer to a command other than a switch, or a refusal. */
export function answerEvent(kid: string, command: Echo & Partial<AgentCommand>, outcome: Outcome): AuditEvent {
  const {op, run, seq, gw4, gw6, new_kid, old_kid} = command
  const {state, reason, detail} = outcome
  const why = [reason, detail].filter((part) => part !== undefined).join(': ')
  return {
    event: 'command',
    message: `${op} of run ${run} by ${kid}: ${state}${why === '' ? '' : `: ${why}`}`,
    priority: state === 'refused' ? WARNING : NOTICE,
    fields: {op, kid, run, seq, state, reason, detail, gw4, gw6, new_kid, old_kid},
  }
}

/** A switch is in another state now. */
export function switchEvent({kid, run, seq, mode, phase, state, reason, detail, changes}: SwitchRecord): AuditEvent {
  const gateways = changes.map(({from, to}) => `${from} to ${to}`).join(', ')
  return {
    event: 'switch',
    message: `run ${run} by ${kid}, ${gateways}: ${state} (${phase})${reason === undefined ? '' : `: ${reason}: ${detail ?? ''}`}`,
    priority: reason === undefined ? NOTICE : WARNING,
    fields: {kid, run, seq, mode, phase, state, reason, detail, gateways},
  }
}
