// What an agent counts, for Prometheus.
import type {AgentMemory} from '../../domain/agent/memory.ts'
import type {ReceptionCounts} from '../../domain/agent/reception.ts'
import {counted, gauge, type Metric, prometheusText} from '../../domain/prometheus.ts'
import {AGENT_STATES} from '../../wire/agent-message.ts'
import type {BeaconCounts} from './whereabouts.ts'

export interface AgentFigures {
  readonly vm: string
  readonly counts: ReceptionCounts
  readonly beacons: BeaconCounts
  readonly memory: AgentMemory
  readonly validKeys: number
  readonly startedAtMs: number
}

/** In the text format of its exposition. */
export function agentMetrics({vm, counts, beacons, memory, validKeys, startedAtMs}: AgentFigures): string {
  const {obeyed, refused, repeated, silent} = counts
  const {last} = memory
  return prometheusText([
    gauge('gwswitch_agent_info', 'The VM that this agent is in.', 1, {vm}),
    gauge('gwswitch_agent_start_time_seconds', 'When the agent started, since 1970.', startedAtMs / 1000),
    gauge('gwswitch_agent_resident_memory_bytes', 'Memory of the agent.', process.memoryUsage.rss()),
    gauge('gwswitch_agent_valid_keys', 'Keys that may give orders now.', validKeys),
    counted('gwswitch_agent_commands_total', 'Signed commands, by what became of them.', 'outcome', {
      ...{obeyed, refused, repeated},
    }),
    counted('gwswitch_agent_dropped_messages_total', 'Messages without an answer, by the reason.', 'reason', silent),
    counted('gwswitch_agent_beacons_total', 'Beacons, by whether they counted.', 'outcome', {
      ...beacons.ignored,
      heeded: beacons.heeded,
    }),
    ...(last === undefined ? [] : [switchState(last.state), changedAt(last.endedAt ?? last.startedAt)]),
  ])
}

const switchState = (state: string): Metric => ({
  ...{name: 'gwswitch_agent_last_switch', help: 'How the last switch stands.', type: 'gauge'},
  samples: AGENT_STATES.map((each) => ({labels: {state: each}, value: each === state ? 1 : 0})),
})

const changedAt = (ms: number): Metric =>
  gauge('gwswitch_agent_last_switch_time_seconds', 'When it ended, or began, since 1970.', ms / 1000)
