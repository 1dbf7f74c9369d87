// What a shim is told to do, and what it says of it as a document.
import type {ShimRules} from '../../domain/dhcp/shim.ts'
import {shimScope} from '../../domain/dhcp/shim-scope.ts'
import {type Inventory, neededInventory} from '../../domain/inventory/site.ts'
import {usage} from '../../errors.ts'
import {bridgeInterfaces} from '../../net/bridge-ports.ts'
import {readNamed} from '../../net/file/text-file.ts'
import {type VmPort, type VmPorts, vmPorts} from './ports.ts'
import {shimRuleset} from './ruleset.ts'

/** The command line, as typed. */
export interface ShimOrder {
  readonly site: string
  /** Bridge ports that lead elsewhere. */
  readonly interfaceNames: readonly string[]
  readonly pollS?: number | undefined
  /** A file with the secret that nonces are made from. */
  readonly keyFile?: string | undefined
}

export interface ShimRequest {
  readonly rules: ShimRules
  readonly elsewhere: readonly string[]
  /** What nonces are made from; undefined: no client gets one. */
  readonly secret?: Uint8Array | undefined
}

export interface ShimCounters {
  /** Replies that went on with another gateway or an earlier renewal. */
  changed: number
  /** Replies that went on as they were. */
  unchanged: number
  /** Replies that could not be sent on. */
  failed: number
  /** Times that replies came faster than they were taken, and some were lost. */
  overruns: number
  /** FORCERENEWs sent. */
  forcerenews: number
}

export interface ShimDocument {
  readonly schema: 'gwswitch.serve-dhcp-shim/1'
  readonly dryRun: boolean
  readonly site: string
  readonly pollS: number | null
  /** Clients that take a nonce get one. */
  readonly nonces: boolean
  /** What leaves by these is left alone. */
  readonly elsewhere: readonly string[]
  /** VM ports, as they were last. */
  readonly ports: readonly string[]
  readonly vms: readonly {readonly name: string; readonly mac: string; readonly routers: readonly string[]}[]
  readonly leftOut: readonly {readonly segment: string; readonly reason: string}[]
  readonly replies: ShimCounters
  readonly seconds: number
  readonly exitCode: number
}

/** @throws Failure `usage` for what the inventory does not have, and for a key that is missing, short, or not kept. */
export function shimRequest(order: ShimOrder, inventory: Inventory | undefined): ShimRequest {
  const {site, interfaceNames, pollS, keyFile} = order
  const scope = shimScope(neededInventory(inventory), site)
  return {
    rules: {...scope, ...(pollS !== undefined && {pollS})},
    elsewhere: [...new Set(interfaceNames)],
    secret: keyFile === undefined ? undefined : secretIn(keyFile),
  }
}

/** Short ones can be guessed. */
const SECRET_LENGTH = 32

function secretIn(file: string): Uint8Array {
  const make = `make one, and copy it to the shims of all sites: (umask 077; openssl rand -hex 32 >${file})`
  const text = readNamed(file, make, 'private').trim()
  if (text.length >= SECRET_LENGTH) return new TextEncoder().encode(text)
  throw usage(`${file}: has ${text.length} characters, fewer than ${SECRET_LENGTH} (${make})`)
}

/** What would be done, and the rules that would be loaded. @throws Failure `usage` for an interface that is no bridge port. */
export function planShim(request: ShimRequest): {readonly document: ShimDocument; readonly ruleset: string} {
  const {ports, uplinks} = portsNow(request)
  const ruleset = rulesetOf(request, ports, uplinks)
  return {document: {...documentOf(request, ports, NO_REPLIES, 0), dryRun: true}, ruleset}
}

export const NO_REPLIES: ShimCounters = {changed: 0, unchanged: 0, failed: 0, overruns: 0, forcerenews: 0}

const namesOf = (ports: readonly VmPort[]): string[] => ports.map(({name}) => name)

/** Without a secret there are no words of other shims. */
export const rulesetOf = ({rules, secret}: ShimRequest, ports: readonly VmPort[], uplinks: readonly VmPort[]): string =>
  shimRuleset(rules.vms.keys(), namesOf(ports), secret === undefined ? [] : namesOf(uplinks))

/** @throws Failure `usage` for an interface that is no bridge port. */
export function portsNow({elsewhere, rules}: ShimRequest): VmPorts {
  const found = vmPorts(bridgeInterfaces(), elsewhere, rules.interSite)
  const {missing} = found
  if (missing.length === 0) return found
  throw usage(`${missing.join(', ')}: neither a bridge here nor a port of one (see "bridge link")`)
}

export const documentOf = (
  {rules, elsewhere, secret}: ShimRequest,
  ports: readonly VmPort[],
  replies: ShimCounters,
  seconds: number,
): ShimDocument => ({
  ...{schema: 'gwswitch.serve-dhcp-shim/1', dryRun: false, site: rules.site, pollS: rules.pollS ?? null, elsewhere},
  nonces: secret !== undefined,
  ports: ports.map(({name}) => name),
  vms: [...rules.vms.values()].map(({name, mac, local}) => ({name, mac, routers: local})),
  leftOut: rules.leftOut,
  ...{replies, seconds, exitCode: 0},
})
