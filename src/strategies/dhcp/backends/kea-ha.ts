// How the servers of a high-availability pair are, as Kea's `status-get` tells (Kea ARM, "HA hook library"). Pure.
import {flag, list, optional, record, type Shaped, text} from '../../../net/json-shape.ts'

const SCOPES = list(text)
const PAIR = record({
  'ha-mode': text,
  'ha-servers': record({
    local: record({role: text, state: text, scopes: SCOPES}),
    // One that was never heard has no state yet.
    remote: optional(
      record({'in-touch': flag, role: text, 'last-state': optional(text), 'last-scopes': optional(SCOPES)}),
    ),
  }),
})
export const KEA_STATUS = record({'high-availability': optional(list(PAIR))})
export type KeaStatus = Shaped<typeof KEA_STATUS>
type Pair = Shaped<typeof PAIR>

/** States in which a pair is for good; in every other one something is amiss, or about to change. */
const USUAL = ['hot-standby', 'load-balancing', 'passive-backup', 'backup']

/** Whether it, or a partner that it is in touch with, answers clients. A standby that is well answers none. */
const answers = ({'ha-servers': {local, remote}}: Pair): boolean =>
  local.scopes.length > 0 || (remote?.['in-touch'] === true && (remote['last-scopes'] ?? []).length > 0)

const pairsOf = (statuses: readonly KeaStatus[]): readonly Pair[] =>
  statuses.flatMap((status) => status['high-availability'] ?? [])

/** `primary hot-standby, standby hot-standby`: each server that was asked, by its role; undefined for none of a pair. */
export function pairText(statuses: readonly KeaStatus[]): string | undefined {
  const pairs = pairsOf(statuses)
  const words = pairs.map(({'ha-servers': {local}}) => `${local.role} ${local.state}`)
  return pairs.length === 0 ? undefined : words.join(', ')
}

/** Why a client could not get what is changed now; undefined if some server answers, or none is of a pair. */
export function nobodyAnswers(statuses: readonly KeaStatus[]): string | undefined {
  const pairs = pairsOf(statuses)
  if (pairs.length === 0 || pairs.some(answers)) return undefined
  return `no server of this high-availability pair answers clients now (${pairText(statuses)}): a client that asks would get nothing`
}

/** What there is to be wary of where the pair does answer. */
export function pairCautions(statuses: readonly KeaStatus[]): readonly string[] {
  const pairs = pairsOf(statuses)
  const unusual = pairs.filter(({'ha-servers': {local}}) => !USUAL.includes(local.state))
  const alone = pairs.length === 1 && pairs[0]!['ha-mode'] !== 'passive-backup' && statuses.length === 1
  return [
    ...unusual.map(
      ({'ha-servers': {local}}) =>
        `the ${local.role} server of the Kea pair is in state ${local.state} and answers ${local.scopes.length > 0 ? 'clients' : 'nobody'}: a server that starts again meanwhile begins with what its file says`,
    ),
    ...(alone
      ? [
          'the partner of this Kea is not in controls, and is not told: a client that it answers gets what it gave before',
        ]
      : []),
  ]
}
