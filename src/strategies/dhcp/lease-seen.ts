// What is known of a VM's lease: of a switch that was begun, from the file that other processes write to as well.
import type {LeaseSeen} from '../../domain/proof/lease.ts'
import type {Transaction} from './backends/backend.ts'
import type {ClientStore} from './client-store.ts'
import type {DhcpPlan} from './plan.ts'
import {orUnknown, type Tools} from './renewal.ts'

/** Of the last ACK since `sinceNs`, CLOCK_REALTIME, and never from before the switch began. */
export function ackSeen({vm}: DhcpPlan, store: ClientStore, sinceNs = 0n): Pick<LeaseSeen, 'acked' | 'askedFor'> {
  const seen = store.evidence(vm.mac)
  if (seen?.ackedNs === undefined || seen.ackedNs < sinceNs) return {acked: undefined, askedFor: []}
  const {router, ackedNs, askedFor, askedNs} = seen
  const asked = askedFor !== undefined && askedNs !== undefined && askedNs >= ackedNs
  return {acked: router ?? null, askedFor: asked ? [askedFor] : []}
}

/** The same, and what the server says of it. */
export async function leaseSeen(plan: DhcpPlan, {store, backend}: Tools): Promise<LeaseSeen> {
  const next = (await orUnknown(backend.statement(plan.vm)))?.router ?? null
  const told = await orUnknown(backend.lastTransaction(plan.vm))
  return {...ackSeen(plan, store), told: told !== undefined, answered: isAnswered(plan, told), next}
}

/** Whether the server has answered the client with an ACK since the switch began. */
export const isAnswered = ({serial}: DhcpPlan, told: Transaction | undefined): boolean =>
  told !== undefined && told.serial !== serial
