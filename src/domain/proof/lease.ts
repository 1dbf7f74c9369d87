// What a VM's lease says about its gateway, beside what its packets say. A lease is no proof: a client may ignore the
// router that it was given. But where it gives another one than the packets go to, the VM will not stay where it is.
import type {Ipv4} from '../../wire/address.ts'
import type {NamedGateway} from './gateway.ts'
import type {Proof} from './proof.ts'

/** What is known of a VM's lease since a switch began. */
export interface LeaseSeen {
  /** What its last ACK gave it, null for no router; undefined: no ACK was seen, and its server told of none. */
  readonly acked: Ipv4 | null | undefined
  /** Addresses that it asked the segment for since: it is about to send there. */
  readonly askedFor: readonly Ipv4[]
  /** The server writes down whom it answers, so that no ACK means that there was none. */
  readonly told: boolean
  /** The server has answered it since, whatever it was told. */
  readonly answered: boolean
  /** What the server gives it next; null: it does not tell. */
  readonly next: Ipv4 | null
}

export function ackText(acked: LeaseSeen['acked'], wanted: Ipv4): string {
  if (acked === undefined) return 'no new ACK to it was seen'
  const gave = `its last ACK gave it ${acked ?? 'no router'}`
  return acked === wanted ? gave : `${gave}, not ${wanted}`
}

/** Whether its lease says that it is to use this gateway: by the ACK itself, or by what an ACK is set to carry. */
export const isToldToUse = ({acked, answered, next}: LeaseSeen, {ip}: NamedGateway): boolean =>
  acked === undefined ? answered && next === ip : acked === ip && (next === null || next === ip)

/** Clients that have the router and do not use it. */
const WHY_NOT =
  'what outweighs the router of a lease: option 121 of its server, a static route in the VM, or stock dhclient, which keeps its old router on a renewal'

/**
 * A judgement of where the VM's packets go, with what its lease says. It never makes one better: an ACK, and a question for
 * the gateway, leave open what comes of them.
 */
export function withLease(
  vm: {readonly name: string},
  to: NamedGateway,
  proof: Proof,
  lease: LeaseSeen & {readonly onLeg: boolean},
): Proof {
  const {acked, next, answered} = lease
  const lines = [
    acked === undefined && answered
      ? `its server has answered it since, and is configured to give it ${next ?? 'a router that it does not tell'}`
      : ackText(acked, to.ip),
  ]
  // On the gateway's own leg nothing of the VM passes that uses another one.
  const stays = proof.code === 'elsewhere' || (lease.onLeg && proof.uses === null && proof.code === 'unverified')
  if (stays && isToldToUse(lease, to)) lines.push(`${vm.name} was not seen to use it: ${WHY_NOT}`)
  const standing = proof.code === 'served' || proof.code === 'unverified'
  const ends = (code: Proof['code']): Proof => ({...proof, code, evidence: [...lines, ...proof.evidence]})
  if (standing && acked !== undefined && acked !== to.ip) return ends('elsewhere')
  if (next !== null && next !== to.ip) {
    lines.push(`its server gives it ${next} next, not ${to.ip}`)
    if (standing) return ends('elsewhere')
  }
  if (proof.code !== 'unverified') return ends(proof.code)
  if (lease.askedFor.includes(to.ip)) lines.push(`${vm.name} asked the segment where ${to.ip} is`)
  return ends(acked === undefined && lease.told && !answered ? 'silent' : 'unverified')
}
