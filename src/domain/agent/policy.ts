// Whether a signed command is obeyed. Pure: what is known of the VM comes in as facts.

import type {AgentCommand} from '../../wire/agent-message.ts'
import type {AgentConfig} from './config.ts'
import type {PolicyFacts} from './facts.ts'
import {alreadyOf, isOpen, lastOf} from './memory.ts'
import {type Planned, planSwitch, type Refusal, refuse} from './plan.ts'

export type Decision =
  | Planned
  | {readonly accept: true; readonly op: 'confirm' | 'rollback' | 'query' | 'introduce' | 'revoke'}

const replayed = (seq: number, lastSeq: number): Refusal => ({
  ...{accept: false, reason: 'replayed', detail: `seq ${seq} is not above ${lastSeq}`, consumes: false},
  lastSeq,
})

/** Checks in this order, and names the first that fails: vm, clone, clock, sequence, nonce, then what the command wants. */
export function decide(command: AgentCommand, kid: string, config: AgentConfig, facts: PolicyFacts): Decision {
  return (
    identity(command, kid, config, facts) ??
    (command.op === 'switch' ? planSwitch(command, kid, config, facts) : decideOther(command, kid, facts))
  )
}

function identity(
  command: AgentCommand,
  kid: string,
  config: AgentConfig,
  {nowMs, dmiUuid, memory}: PolicyFacts,
): Decision | undefined {
  if (command.vm !== config.vm) return refuse('wrong_vm', `this is ${config.vm}, not ${command.vm}`, false)
  if (config.dmiUuid !== undefined && dmiUuid !== config.dmiUuid) {
    return refuse('cloned', `the DMI UUID is ${dmiUuid ?? 'not readable'}, ${config.dmiUuid} was enrolled`, false)
  }
  const nowS = nowMs / 1000
  const {clockSkewS, lifetimeS} = config.windows
  const off = (text: string): Decision => refuse('clock', `${text}; it is ${new Date(nowMs).toISOString()} here`, false)
  if (command.iat > nowS + clockSkewS) return off(`issued ${Math.round(command.iat - nowS)} s in the future`)
  // The skew counts at both ends: a VM whose clock runs ahead must not find every command expired.
  if (command.exp + clockSkewS < nowS) return off(`expired ${Math.round(nowS - command.exp)} s ago`)
  if (command.exp < command.iat || command.exp - command.iat > lifetimeS) {
    return off(`valid for ${command.exp - command.iat} s (want 0 to ${lifetimeS})`)
  }
  const known = lastOf(memory, kid)
  if (known && command.seq <= known.seq) return replayed(command.seq, known.seq)
  if (known?.nonces.some(([nonce]) => nonce === command.nonce)) return refuse('nonce', 'this nonce was used before')
  return undefined
}

function decideOther(command: AgentCommand, kid: string, {memory}: PolicyFacts): Decision {
  const {last} = memory
  // Of a switch that found nothing to do there is nothing to confirm, to take back or to tell but that.
  const already = alreadyOf(memory, kid, command.run)
  if (already !== undefined && (command.op === 'query' || command.op === 'confirm'))
    return {accept: true, op: 'already', detail: already}
  const {op} = command
  if (op === 'query' || op === 'introduce' || op === 'revoke') return {accept: true, op}
  if (last === undefined || last.run !== command.run)
    return refuse('no_switch', `there is no switch of run ${command.run}`)
  // A key has a say in its own switches only.
  if (last.kid !== kid) return refuse('no_switch', `run ${command.run} is not one of key ${kid}`)
  // Saying again what is already so is no error.
  if (command.op === 'confirm' && !isOpen(last) && last.state !== 'confirmed') {
    return refuse('no_switch', `run ${command.run} is ${last.state} already`)
  }
  if (command.op === 'confirm' && (last.phase === 'probing' || last.phase === 'applying')) {
    return refuse('no_switch', `run ${command.run} is not applied yet`)
  }
  return {accept: true, op: command.op as 'confirm' | 'rollback'}
}
