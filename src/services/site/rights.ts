// What `serve site` needs of root's rights, by what its inventory lets it do: it gives everything else up.
import {dirname} from 'node:path'
import type {SegmentDhcp} from '../../domain/inventory/segment-dhcp.ts'
import type {Vm} from '../../domain/inventory/site.ts'
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_KILL,
  CAP_NET_ADMIN,
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
  type Rights,
} from '../../net/process/confine.ts'
import {keaLock, omapiLock} from '../../strategies/dhcp/backends/context.ts'
import {KEA_CONTROL} from '../../strategies/dhcp/backends/kea.ts'
import {DEFAULT_STATE} from '../../strategies/dhcp/client-store.ts'
import type {SiteRequest} from './serve.ts'

const UNPRIVILEGED_PORT = 1024
/** Those whose needs are known. */
const BUILT_IN = ['arp', 'agent', 'dhcp', 'mac-proxy']

export interface SiteFiles {
  readonly read: readonly string[]
  readonly written: readonly string[]
  /** Whether it connects to a socket that a hypervisor's user owns. */
  readonly monitors?: boolean
  /** Where what is recorded of this host's namespace lies. */
  readonly records: string
  /** Whether a path is root's, with all folders above it. */
  isRoots(path: string): boolean
}

/** Undefined where a strategy of somebody else may be used: what that needs is not known. */
export function siteRights(
  {served, notices, control}: Pick<SiteRequest, 'served' | 'notices' | 'control'>,
  installed: readonly string[],
  {read, written, monitors = false, records, isRoots}: SiteFiles,
): Rights | undefined {
  const {inventory, gateways} = served
  const segments = inventory.segments.filter(({name}) => gateways.has(name))
  const vms = inventory.vms.filter((vm) => gateways.has(vm.segment))
  const used = new Set(vms.flatMap(({strategies}) => (strategies.length > 0 ? strategies : installed)))
  if ([...used].some((name) => installed.includes(name) && !BUILT_IN.includes(name))) return undefined
  const servers = used.has('dhcp') ? segments.flatMap(({dhcp}) => dhcp ?? []) : []
  // Without one in the inventory it may be a shim of this host, which is heard only when a switch is planned.
  const steered = servers.length > 0 ? servers : [{server: 'shim'} as const]
  const files = [...written, ...(used.has('dhcp') ? steered.flatMap(serverFiles) : [])]
  const othersFiles = servers.length > 0 || monitors || vms.some(byLocalSocket) || ![...read, ...written].every(isRoots)
  return {
    capabilities: [
      CAP_NET_RAW,
      // Rules of the bridge; and neighbour entries, by which a VM is made known.
      ...(used.has('mac-proxy') || used.has('arp') ? [CAP_NET_ADMIN] : []),
      ...(notices !== undefined && notices.listen.port < UNPRIVILEGED_PORT ? [CAP_NET_BIND_SERVICE] : []),
      ...(othersFiles ? [CAP_DAC_OVERRIDE] : []),
      // The socket is given to a group.
      ...(othersFiles || control?.group !== undefined ? [CAP_CHOWN] : []),
      // dnsmasq reads its file again at a signal.
      ...(servers.some(({server}) => server === 'dnsmasq') ? [CAP_KILL] : []),
    ],
    folders: [
      ...new Set([
        ...files.map((file) => dirname(file)),
        ...(used.has('mac-proxy') ? [records] : []),
        ...(control === undefined ? [] : [dirname(control.path)]),
      ]),
    ],
  }
}

/** What a switch changes and locks. */
function serverFiles({
  server,
  optsfile,
  omapi,
  control = KEA_CONTROL,
  controls = [control],
  state,
}: SegmentDhcp): string[] {
  return [
    state ?? DEFAULT_STATE,
    ...(optsfile === undefined ? [] : [optsfile]),
    ...(server === 'kea' ? controls.map(keaLock) : []),
    ...(server === 'isc' && omapi !== undefined ? [omapiLock(omapi)] : []),
  ]
}

/** Sockets of hypervisors are their users'. */
const byLocalSocket = ({agent, dhcp}: Vm): boolean =>
  [agent?.qga, agent?.domain, agent?.socket, dhcp?.guestAgent, dhcp?.carrier].some((each) => each !== undefined)

/** Whether whoever has `held` can do what `wanted` asks for. */
export const suffices = (held: Rights, wanted: Rights | undefined): boolean =>
  wanted?.capabilities.every((each) => held.capabilities.includes(each)) === true &&
  wanted.folders.every((each) => held.folders.includes(each))
