// What `serve site` needs of root's rights, by what its inventory lets it do: it gives everything else up.
import {dirname} from 'node:path'
import type {Segment, Vm} from '../../domain/inventory/site.ts'
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_KILL,
  CAP_NET_ADMIN,
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
  type Rights,
} from '../../net/process/confine.ts'
import {DEFAULT_STATE} from '../../strategies/dhcp/client-store.ts'
import type {ServeSiteRequest} from './request.ts'

const UNPRIVILEGED_PORT = 1024
/** Those whose needs are known. */
const BUILT_IN = ['arp', 'agent', 'dhcp', 'mac-proxy']

export interface SiteFiles {
  readonly read: readonly string[]
  readonly written: readonly string[]
  /** Whether a path is root's, with all folders above it. */
  isRoots(path: string): boolean
}

/** Undefined where a strategy of somebody else may be used: what that needs is not known. */
export function siteRights(
  {segment, listen, inventory}: Pick<ServeSiteRequest, 'segment' | 'listen' | 'inventory'>,
  installed: readonly string[],
  {read, written, isRoots}: SiteFiles,
): Rights | undefined {
  const vms = inventory.vms.filter((vm) => vm.segment === segment.name)
  const used = new Set(vms.flatMap(({strategies}) => (strategies.length > 0 ? strategies : installed)))
  if ([...used].some((name) => installed.includes(name) && !BUILT_IN.includes(name))) return undefined
  const server = used.has('dhcp') ? segment.dhcp : undefined
  const files = [...written, ...(server === undefined ? [] : serverFiles(server))]
  const othersFiles = server !== undefined || vms.some(byLocalSocket) || ![...read, ...written].every(isRoots)
  return {
    capabilities: [
      CAP_NET_RAW,
      ...(used.has('mac-proxy') ? [CAP_NET_ADMIN] : []),
      ...(listen.port < UNPRIVILEGED_PORT ? [CAP_NET_BIND_SERVICE] : []),
      ...(othersFiles ? [CAP_DAC_OVERRIDE, CAP_CHOWN] : []),
      // dnsmasq reads its file again at a signal.
      ...(server?.server === 'dnsmasq' ? [CAP_KILL] : []),
    ],
    folders: [...new Set(files.map((file) => dirname(file)))],
  }
}

const serverFiles = ({optsfile, state = DEFAULT_STATE}: NonNullable<Segment['dhcp']>): string[] =>
  optsfile === undefined ? [state] : [state, optsfile]

/** Sockets of hypervisors are their users'. */
const byLocalSocket = ({agent}: Vm): boolean =>
  agent?.qga !== undefined || agent?.domain !== undefined || agent?.socket !== undefined

/** Whether whoever has `held` can do what `wanted` asks for. */
export const suffices = (held: Rights, wanted: Rights | undefined): boolean =>
  wanted?.capabilities.every((each) => held.capabilities.includes(each)) === true &&
  wanted.folders.every((each) => held.folders.includes(each))
