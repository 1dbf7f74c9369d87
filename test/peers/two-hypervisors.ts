// Two hypervisors, each with a bridge and its site's router, an inter-site link between them, and a VM that is moved from
// one to the other as a live migration does it: its own link stays up.
//
//   client -- br0 (the lab's) -- wx == vm0 -- br0 (hx) -- rx, srv      site x, and the DHCP server
//                    |                         dci
//                    |                          |
//                    |                         dci
//                    +---------- wy == vm0 -- br0 (hy) -- ry           site y
import type {DhcpServerKind} from '../../src/domain/inventory/segment-dhcp.ts'
import {runCommand, tryCommand} from '../../src/net/process/command.ts'
import {type DhcpLab, type DhcpLabOptions, GATEWAYS, killAll, until, withDhcpLab} from './dhcp-lab.ts'

export interface TwoHypervisors extends DhcpLab {
  /** Namespaces. */
  readonly hx: string
  readonly hy: string
  /** The VM goes on at the other one. */
  moveTo(site: 'x' | 'y'): Promise<void>
}

/** The VM is at x. `server`: that of the inventory. */
export const withTwoHypervisors = (
  fn: (lab: TwoHypervisors) => Promise<void>,
  options: DhcpLabOptions & {readonly server?: DhcpServerKind} = {},
): Promise<void> =>
  withDhcpLab(
    options.server ?? 'shim',
    async (lab) => {
      const [hx, hy] = ['x', 'y'].map((site) => `${lab.hypervisor.slice(0, -2)}-h${site}`) as [string, string]
      try {
        await build(lab.hypervisor, hx, hy)
        await fn({...lab, hx, hy, moveTo: (site) => move(lab.hypervisor, site)})
      } finally {
        await killAll([hx, hy])
        for (const name of [hx, hy]) await tryCommand('ip', ['netns', 'del', name])
      }
    },
    {...options, apart: true},
  )

const batch = (args: readonly string[], lines: readonly string[]): Promise<string> =>
  runCommand('ip', [...args, '-batch', '-'], {input: `${lines.join('\n')}\n`})

async function build(wires: string, hx: string, hy: string): Promise<void> {
  await batch([], [`netns add ${hx}`, `netns add ${hy}`])
  await batch(
    ['-n', wires],
    [
      `link add wx type veth peer name vm0 netns ${hx}`,
      `link add wy type veth peer name vm0 netns ${hy}`,
      'link set wx master br0 up',
      'link set wy master br0',
      ...['rx', 'srv'].map((port) => `link set ${port} netns ${hx}`),
      `link set ry netns ${hy}`,
    ],
  )
  await batch(['-n', hx], [`link add dci type veth peer name dci netns ${hy}`])
  for (const [name, ports] of [
    [hx, ['vm0', 'dci', 'rx', 'srv']],
    [hy, ['vm0', 'dci', 'ry']],
  ] as const) {
    await runCommand('ip', ['netns', 'exec', name, 'sysctl', '-qw', 'net/ipv6/conf/default/disable_ipv6=1'])
    await batch(
      ['-n', name],
      [
        'link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
        'link set br0 up',
        ...ports.map((port) => `link set ${port} master br0 up`),
      ],
    )
  }
}

async function move(wires: string, site: 'x' | 'y'): Promise<void> {
  const [from, to] = site === 'y' ? ['wx', 'wy'] : ['wy', 'wx']
  await batch(['-n', wires], [`link set ${from} down`, `link set ${to} up`])
}

/** QEMU sends RARPs for a guest that has been moved; a frame of the guest does as well. */
export async function speaks(lab: TwoHypervisors): Promise<void> {
  await until(
    () =>
      lab.client.run('ping', '-c', '1', '-W', '1', GATEWAYS.rx.ip).then(
        () => true,
        () => false,
      ),
    () => 'the VM does not reach its router',
  )
}
