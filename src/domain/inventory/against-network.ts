// What an inventory says of a segment, held against who answered ARP there.
import type {Ipv4, Mac} from '../../wire/address.ts'
import type {Gateway, Segment, Vm} from './site.ts'

/** Somebody who answered for an address. */
export interface Answer {
  readonly ip: Ipv4
  readonly mac: Mac
  /** Where it came in. */
  readonly interface: string
}

/** Behind which port of a bridge here a MAC is. */
export type PortOf = (mac: Mac) => string | undefined

/** What is known of where the segment was asked. */
export interface Outlook {
  readonly answers: readonly Answer[]
  /** MACs of this host itself, which does not answer its own questions. */
  readonly own: ReadonlySet<Mac>
  readonly portOf: PortOf
  /** The site of this host; undefined: unknown. */
  readonly site: string | undefined
}

/**
 * `answers`: at its MAC. `own`: it is this host. `other-mac`: another MAC answers for its address, and its own does not.
 * `twice`: its own does, and another one too. `silent`: nobody.
 */
export type Standing = 'answers' | 'own' | 'other-mac' | 'twice' | 'silent'

/** One address of a gateway or of a VM. */
export interface AgainstRow {
  readonly kind: 'gateway' | 'vm'
  readonly name: string
  readonly segment: string
  readonly ip: Ipv4
  /** As the inventory has it. */
  readonly mac: Mac
  readonly standing: Standing
  /** Other MACs that answer for the address. */
  readonly others: readonly Mac[]
  /** Interface where it was heard, and port of a bridge behind which it is; null: not heard, or not known. */
  readonly interface: string | null
  readonly port: string | null
  /** The site at which it was seen: this host's, or the one other one where it is behind an inter-site port. */
  readonly site: string | null
  /** The site that the inventory has: of a VM a hint, which may be old. */
  readonly written: string | null
}

/** Every gateway and every IPv4 address of the VMs. */
export function againstNetwork(segment: Segment, vms: readonly Vm[], outlook: Outlook): readonly AgainstRow[] {
  const answered = Map.groupBy(outlook.answers, ({ip}) => ip)
  const row = (
    kind: AgainstRow['kind'],
    {name, mac, site}: Gateway | Vm,
    ip: Ipv4,
    alike: readonly Mac[],
  ): AgainstRow => {
    const heard = answered.get(ip) ?? []
    const others = [...new Set(heard.map((each) => each.mac))].filter((each) => each !== mac && !alike.includes(each))
    const its = heard.find((each) => each.mac === mac)
    const at = its ?? heard.find((each) => others.includes(each.mac))
    const port = at && outlook.portOf(at.mac)
    return {
      ...{kind, name, segment: segment.name, ip, mac, others},
      standing: standingOf(its !== undefined, outlook.own.has(mac), others),
      ...{interface: at?.interface ?? null, port: port ?? null},
      site: at === undefined ? null : siteOf(port, segment, outlook),
      written: site ?? null,
    }
  }
  return [
    ...segment.gateways.map((gateway) => {
      // Routers of several sites may share an address: another one's answer says nothing of this one.
      const alike = segment.gateways.filter(({ip}) => ip === gateway.ip).map(({mac}) => mac)
      return row('gateway', gateway, gateway.ip, alike)
    }),
    ...vms.flatMap((vm) => [vm.ip, ...(vm.ips ?? [])].map((ip) => row('vm', vm, ip, []))),
  ]
}

function standingOf(answers: boolean, isOwn: boolean, others: readonly Mac[]): Standing {
  if (answers || isOwn) return others.length > 0 ? 'twice' : isOwn ? 'own' : 'answers'
  return others.length > 0 ? 'other-mac' : 'silent'
}

function siteOf(port: string | undefined, {ports, gateways}: Segment, {site}: Outlook): string | null {
  if (site === undefined || port === undefined || ports === undefined) return null
  if (!ports.includes(port)) return site
  const others = new Set(gateways.map((gateway) => gateway.site).filter((each) => each !== site))
  return others.size === 1 ? [...others][0]! : null
}

/** Not there, as far as can be told from here: what is silent at another site may be kept there by a filter. */
const isMissing = ({kind, standing, written}: AgainstRow, site: string | undefined): boolean =>
  kind === 'gateway' && (standing === 'other-mac' || (standing === 'silent' && site !== undefined && written === site))

/** What `checkExit` takes of the network. */
export interface NetworkRows {
  readonly rows: readonly AgainstRow[]
  /** Segments that could not be asked. */
  readonly unasked: number
  /** This host's site on a segment; undefined: unknown. */
  siteOf(segment: string): string | undefined
}

const WRONG = 2
const DIFFERENT = 10
const UNKNOWN = 11
const MISSING = 12

/**
 * 2: the file is wrong, and every command would say so. 12: a gateway is at another MAC, or silent at this host's own site.
 * 10: something is suspicious, or not as the network has it. 11: something did not answer, or was not asked.
 */
export function checkExit(
  {errors, warnings}: {readonly errors: number; readonly warnings: number},
  network: NetworkRows | undefined,
): number {
  if (errors > 0) return WRONG
  if (network?.rows.some((row) => isMissing(row, network.siteOf(row.segment)))) return MISSING
  const {rows = [], unasked = 0} = network ?? {}
  if (warnings > 0 || rows.some(({standing}) => standing === 'other-mac' || standing === 'twice')) return DIFFERENT
  return unasked > 0 || rows.some(({standing}) => standing === 'silent') ? UNKNOWN : 0
}
