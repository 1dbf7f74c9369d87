// A strategy that does what a test says, and verdicts in short.
import type {NamedGateway} from '../../src/domain/proof/gateway.ts'
import type {ProofCode} from '../../src/domain/proof/proof.ts'
import {CONTRACT, type Strategy, type Verdict} from '../../src/strategies/strategy.ts'

export const gatewayNamed = (name: string): NamedGateway => ({
  ...{name, site: name.at(-1)!, ip: '10.1.0.254'},
  mac: name === 'by' ? '02:00:00:00:0b:02' : '02:00:00:00:0a:02',
})

export const verdict = (
  code: ProofCode,
  evidence: readonly string[] = ['seen'],
  uses: string | null = null,
): Verdict => ({
  ok: code === 'served' || code === 'already',
  ...{code, evidence, uses: uses === null ? null : gatewayNamed(uses)},
})

/** Does nothing, and everything works. */
export const strategyNamed = (name: string, over: Partial<Strategy> = {}): Strategy => ({
  ...{contract: CONTRACT, name, summary: name, takes: []},
  traits: {controlledAt: 'here', layer: 'L2', gatewayIp: 'stays', sessions: 'kept', needs: 'nothing'},
  plan: async () => ({by: name}),
  look: async (plan) => ({plan, uses: null, ends: null}),
  execute: async () => undefined,
  verify: async () => verdict('served'),
  rollback: async () => ({...verdict('elsewhere', ['as it was']), ok: true}),
  describe: () => [`by ${name}`],
  ...over,
})
