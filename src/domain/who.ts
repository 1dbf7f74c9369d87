// Which gateway each VM should use, and which it uses.
import type {Ipv4, Mac} from '../wire/address.ts'
import type {Ipv6} from '../wire/ipv6-address.ts'
import type {NamedVm} from './inventory/named-vm.ts'
import type {Gateway, Segment, Vm} from './inventory/site.ts'
import {type Family, familyOf} from './proof/gateway.ts'
import type {ProofCode} from './proof/proof.ts'

/** A gateway as reports name it. */
export interface NamedGateway {
  readonly name: string
  readonly site: string
  readonly mac: Mac
}

/**
 * How a VM was seen to use a gateway. `off-segment-echo`: it answered an echo from off its segment through that MAC;
 * `own-frames`: it sends its own off-segment traffic there. `echo`: it answered one from the address that the gateways
 * share: that MAC is in its neighbour table, and where its traffic goes was not seen.
 */
export type ProvedBy = 'off-segment-echo' | 'own-frames' | 'echo'

/** What was found out about one address of a VM. */
export interface Found {
  readonly mac: Mac | undefined
  readonly by: ProvedBy | undefined
  /** The MAC that it has for the address that the gateways share, if it was seen. */
  readonly entry: Mac | undefined
  /** It answered something. */
  readonly alive: boolean
}

/**
 * `as-expected`; `other-site`: it uses another site's gateway; `stranger`: a MAC that is no gateway of its segment;
 * `unseen`: it is there, but nothing that it sends to a gateway was seen here; `silent`: nothing came from it;
 * `no-site`: seen, but nobody said at which site it is.
 */
export type WhoVerdict = 'as-expected' | 'other-site' | 'stranger' | 'unseen' | 'silent' | 'no-site'

export interface WhoRow {
  readonly vm: NamedVm
  readonly should: NamedGateway | null
  readonly uses: {readonly mac: Mac; readonly gateways: readonly NamedGateway[]} | null
  readonly provedBy: ProvedBy | null
  /** The MAC that it has for the address that the gateways share; null: not seen. Its traffic may go elsewhere. */
  readonly entry: Mac | null
  readonly verdict: WhoVerdict
  /** Whether it is served by the gateway that it should use. */
  readonly code: ProofCode
}

/** A gateway that VMs were seen to use, and what it does with one family. */
export interface WhoGateway extends NamedGateway {
  readonly segment: string
  readonly family: Family
  readonly code: Extract<ProofCode, 'served' | 'unverified' | 'target-dead'>
  readonly evidence: string
}

/** A MAC that speaks for a gateway's address and is none of its gateways. */
export interface Stranger {
  readonly mac: Mac
  readonly ip: Ipv4 | Ipv6
  readonly segment: string
  readonly text: string
}

/** A segment whose VMs have no row: it is not at these ports, as far as can be seen. */
export interface AbsentSegment {
  readonly segment: string
  readonly vms: number
  readonly text: string
}

/** A VM whose packets a bridge here sends to another gateway than the one that it is seen to use. */
export interface Redirected {
  readonly vm: string
  readonly from: Mac
  readonly to: Mac
  readonly text: string
}

export interface WhoDocument {
  readonly schema: 'gwswitch.who/3'
  readonly ports: readonly string[]
  readonly rows: readonly WhoRow[]
  /** Those in use. */
  readonly gateways: readonly WhoGateway[]
  readonly strangers: readonly Stranger[]
  readonly absent: readonly AbsentSegment[]
  readonly redirected: readonly Redirected[]
  readonly exitCode: number
}

const named = ({name, site, mac}: Gateway): NamedGateway => ({name, site, mac})

export interface WhoQuestion {
  readonly vm: Vm
  readonly ip: Ipv4 | Ipv6
  readonly segment: Segment
  /** Where the VM is, if that is known. */
  readonly site: string | undefined
  readonly found: Found
  /** Those that were asked. */
  readonly gateways: readonly WhoGateway[]
}

/** Judges one address of a VM. */
export function judgeVm({vm, ip, segment, site, found, gateways}: WhoQuestion): WhoRow {
  const here = segment.gateways.filter((gateway) => gateway.site === site)
  const uses = found.mac === undefined ? undefined : segment.gateways.filter(({mac}) => mac === found.mac)
  // Of several at one site, the one it uses is as right as another.
  const should = here.find(({mac}) => mac === found.mac) ?? here[0]
  const verdict = (): WhoVerdict => {
    if (uses === undefined) return found.alive ? 'unseen' : 'silent'
    if (uses.length === 0) return 'stranger'
    if (should === undefined) return 'no-site'
    return should.mac === found.mac ? 'as-expected' : 'other-site'
  }
  const used = gateways.find(
    (each) => each.segment === segment.name && each.mac === found.mac && each.family === familyOf(ip),
  )
  return {
    code: codeOf(verdict(), found, used),
    vm: {name: vm.name, ip, mac: vm.mac, segment: segment.name},
    should: should ? named(should) : null,
    uses: uses === undefined ? null : {mac: found.mac!, gateways: uses.map(named)},
    provedBy: found.by ?? null,
    entry: found.entry ?? null,
    verdict: verdict(),
  }
}

function codeOf(verdict: WhoVerdict, {by}: Found, used: WhoGateway | undefined): ProofCode {
  if (verdict === 'silent') return 'silent'
  if (verdict === 'other-site' || verdict === 'stranger') return 'elsewhere'
  if (verdict !== 'as-expected' || used === undefined) return 'unverified'
  // Where its traffic goes was not seen; a dead gateway is none for it either way.
  return by === 'echo' && used.code === 'served' ? 'unverified' : used.code
}

const OTHER_SITE = 10
const UNKNOWN = 11
const DEAD = 12

export function whoDocument(
  seen: Omit<WhoDocument, 'schema' | 'exitCode' | 'redirected'> & Partial<Pick<WhoDocument, 'redirected'>>,
): WhoDocument {
  const {gateways, strangers, redirected = []} = seen
  const led = seen.rows.map((row) => ({row, away: isLedAway(row, redirected)}))
  // That a rule stands was seen, and not what it does to the packets: who serves the VM is not known.
  const rows = led.map(({row, away}) => (away && row.code === 'served' ? {...row, code: 'unverified' as const} : row))
  const has = (verdict: WhoVerdict): boolean => rows.some((row) => row.verdict === verdict)
  const allKnown =
    rows.length > 0 && led.every(({row, away}) => row.verdict === 'as-expected' && !away) && strangers.length === 0
  const isDeadInUse = gateways.some(({code}) => code === 'target-dead')
  const exitCode = isDeadInUse ? DEAD : has('other-site') ? OTHER_SITE : allKnown ? 0 : UNKNOWN
  return {schema: 'gwswitch.who/3', ...seen, rows, redirected, exitCode}
}

/** Whether a bridge here sends the packets of a VM elsewhere than to the gateway that it should use. */
const isLedAway = ({vm, should}: WhoRow, redirected: readonly Redirected[]): boolean =>
  redirected.some((each) => each.vm === vm.name && each.to !== should?.mac)
