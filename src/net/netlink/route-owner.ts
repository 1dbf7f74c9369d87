// Which program made an interface's default route and will put it back if somebody else changes it.
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

/** What is looked at: `/`, but for tests. */
export interface OwnerRoot {
  readonly run: string
  readonly proc: string
}
const SYSTEM_ROOT: OwnerRoot = {run: '/run', proc: '/proc'}

/** rt_protos of iproute2. */
const RTPROT_RA = 9
const RTPROT_DHCP = 16

/**
 * `networkd`, `NetworkManager`, `dhcpcd`, `dhclient`; `dhcp` or `ra` for a route that says how it came and not by whom;
 * undefined for a plain one, made by hand or by a script that is over.
 */
export function routeOwner(
  nic: {readonly index: number; readonly name: string},
  protocol: number,
  root: OwnerRoot = SYSTEM_ROOT,
): string | undefined {
  const {run} = root
  // networkd(8) keeps a file a link; so does NetworkManager.
  if (/^ADMIN_STATE=configur(ed|ing)$/m.test(text(join(run, `systemd/netif/links/${nic.index}`)))) return 'networkd'
  if (/^managed=true$/m.test(text(join(run, `NetworkManager/devices/${nic.index}`)))) return 'NetworkManager'
  const dhcpcd = [`${nic.name}.pid`, `${nic.name}-4.pid`, `${nic.name}-6.pid`, 'pid'].map((name) =>
    join(run, 'dhcpcd', name),
  )
  if (runs([...dhcpcd, join(run, `dhcpcd-${nic.name}.pid`), join(run, 'dhcpcd.pid')], 'dhcpcd', root)) return 'dhcpcd'
  const dhclient = names(run).filter(
    (name) => /^dhclient.*\.pid$/.test(name) && (name === 'dhclient.pid' || name.includes(nic.name)),
  )
  if (
    runs(
      dhclient.map((name) => join(run, name)),
      'dhclient',
      root,
    )
  )
    return 'dhclient'
  return {[RTPROT_DHCP]: 'dhcp', [RTPROT_RA]: 'ra'}[protocol]
}

function runs(pidFiles: readonly string[], program: string, {proc}: OwnerRoot): boolean {
  return pidFiles.some((file) => {
    const pid = text(file).trim()
    return /^\d+$/.test(pid) && text(join(proc, pid, 'comm')).trim() === program
  })
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
