// The lab with one VM in it that goes from site to site, listeners that it counts on to, and gateways that translate some of
// what it sends.
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {Failure} from '../../errors.ts'
import {runCommand} from '../../net/process/command.ts'
import {namespaceCommand} from '../../net/process/netns.ts'
import {countersBetween, gatewayCounters} from '../counters.ts'
import {labEnvironment} from '../processes.ts'
import {type SessionProcess, startProcess} from '../session.ts'
import {labFiles} from '../state.ts'
import {type LabGateway, type LabSite, type LabVm, namespaceOf, SITES, segmentOf, USERS} from '../topology.ts'
import {labVm} from '../vms.ts'
import type {CapturePlace, Cast} from './captures.ts'
import type {DhcpGuest} from './dhcp-guest.ts'
import type {SetName} from './row.ts'
import type {RunVm} from './vm.ts'

export interface RunRig {
  readonly prefix: string
  readonly vm: LabVm
  readonly machine: RunVm
  readonly scratch: string
  /** File. */
  readonly inventory: string
  readonly gateways: Readonly<Record<LabSite, LabGateway>>
  readonly places: readonly CapturePlace[]
  readonly cast: Cast
  /** The VM uses the gateway of that site, and packets were seen there, and nowhere else. @throws Failure `runtime` */
  putRight(site: LabSite): Promise<void>
  /** Where the VM has a lease. */
  readonly dhcp?: DhcpGuest | undefined
  /** What its kernel refused for want of a route, since it booted; null where the method touches no route. */
  unreachable(): Promise<number | null>
}

const VM_OF: Readonly<Record<SetName, string>> = {
  shared: 'db-03',
  'per-site': 'web-07',
  agent: 'web-07',
  dhcp: 'web-07',
}
export const vmOf = (set: SetName): LabVm => labVm(VM_OF[set])

/** The user that the VM counts on to. */
const LISTENER = 'user-y'

export interface RunListeners {
  readonly ports: Cast['ports']
  /** `IP:PORT` of each. */
  readonly addresses: readonly string[]
  end(): Promise<void>
}

/** Listeners, and gateways that translate what goes to one of them. */
export async function startListeners(prefix: string): Promise<RunListeners> {
  const {ip} = USERS.find(({name}) => name === LISTENER)!
  const servers: SessionProcess[] = ['plain', 'nat'].map(() => startProcess(prefix, LISTENER, 'session-server', [ip]))
  const [plain, nat] = (await Promise.all(servers.map((server) => server.answer()))).map(
    (answer) => (answer as {tcpPort: number}).tcpPort,
  ) as [number, number]
  for (const site of SITES)
    await inNode(prefix, `r${site}`, [
      'nft',
      `table ip lab_run { chain out { type nat hook postrouting priority srcnat; oifname "core" tcp dport ${nat} masquerade; }; }`,
    ])
  return {
    ports: {plain, nat},
    addresses: [plain, nat].map((port) => `${ip}:${port}`),
    end: async () => void (await Promise.all(servers.map((server) => server.end()))),
  }
}

const RIGHT_MS = 15_000
/** Without packets for so long something is wrong. */
const SEEN_MS = 3000
const LOOK_MS = 100
const ENOUGH_PACKETS = 5

export interface RunRigParts {
  readonly prefix: string
  readonly set: SetName
  readonly machine: RunVm
  readonly ports: Cast['ports']
  /** File. */
  readonly inventory: string
  /** What brings the VM to use a gateway. */
  right(gateway: LabGateway): Promise<unknown>
}

export function runRig({prefix, set, machine, ports, inventory, right}: RunRigParts): RunRig {
  const vm = vmOf(set)
  const {letter, gateways: legs} = segmentOf(vm)
  const gateways = Object.fromEntries(legs.map((leg) => [leg.site, leg])) as Record<LabSite, LabGateway>
  const users = Object.fromEntries(USERS.map(({site, ip}) => [site, {ip, ip6: undefined}])) as unknown as Cast['users']
  const ownPort = machine.host('x') === machine.host('y')
  const rig: RunRig = {
    ...{prefix, vm, machine, gateways, inventory},
    scratch: join(labFiles(prefix).directory, 'run'),
    places: [
      ...SITES.flatMap((site): CapturePlace[] => [
        {where: `gateway-${site}`, node: `r${site}`, interface: `seg-${letter}`, mac: gateways[site].mac},
        {where: `user-${site}`, node: `user-${site}`, interface: 'eth0'},
        ...(ownPort ? [] : [{where: `port-${site}`, node: machine.host(site), interface: machine.port} as const]),
      ]),
      ...(ownPort ? [{where: 'port', node: 'hv', interface: vm.name} as const] : []),
    ],
    cast: {vm: {mac: vm.mac, ip: vm.ip, ip6: undefined}, users, ports},
    async putRight(site) {
      for (const end = performance.now() + RIGHT_MS; ; ) {
        if (await isRight(rig, site)) return
        if (performance.now() > end)
          throw new Failure('runtime', `lab run: ${vm.name} cannot be brought to use ${gateways[site].name}`)
        await right(gateways[site])
      }
    },
    async unreachable() {
      if (set === 'shared') return null
      const [names, values] = (await machine.sh('cat /proc/net/snmp'))
        .split('\n')
        .filter((line) => line.startsWith('Ip:'))
        .map((line) => line.split(' ')) as [string[], string[]]
      return Number(values[names.indexOf('OutNoRoutes')])
    },
  }
  return rig
}

/** By what the gateways forward: the VM counts on all the while. */
async function isRight({prefix, gateways}: RunRig, site: LabSite): Promise<boolean> {
  const before = await gatewayCounters(prefix)
  for (const end = performance.now() + SEEN_MS; performance.now() < end; ) {
    await sleep(LOOK_MS)
    const passed = countersBetween(before, await gatewayCounters(prefix))
    const egress = (of: LabSite): number =>
      passed.find(({gateway}) => gateway === gateways[of].name)?.egress.packets ?? 0
    if (egress(site === 'x' ? 'y' : 'x') > 0) return false
    if (egress(site) >= ENOUGH_PACKETS) return true
  }
  return false
}

async function inNode(prefix: string, node: string, argv: readonly string[]): Promise<string> {
  const [program = '', ...args] = namespaceCommand(namespaceOf(prefix, node), argv)
  return runCommand(program, args, {env: labEnvironment(prefix)})
}
