// The lab's shared-gateway segment in the set-ups that make a switched VM stay or not.
import {readFileSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {nftFilter} from '../../src/domain/filter/nft-text.ts'
import {parseInventory} from '../../src/domain/inventory/inventory.ts'
import {resolveSwitchover, switchoverFrom} from '../../src/domain/inventory/switchover.ts'
import {moveVm} from '../../src/lab/vms.ts'
import {runCommand} from '../../src/net/process/command.ts'
import {namespaceCommand} from '../../src/net/process/netns.ts'
import {arp} from '../../src/strategies/arp/arp.ts'
import {carryOut, type SwitchOutcome} from '../../src/strategies/carry-out.ts'
import type {StrategyOptions, Verdict} from '../../src/strategies/strategy.ts'
import {intentOf} from '../support/filter-order.ts'
import type {TestLab} from '../support/namespaces.ts'
import {worldIn} from './arp-link.ts'

export const BX = '02:00:00:00:0a:02'
export const BY = '02:00:00:00:0b:02'

export interface Setting {
  /** The gateways have the shared address alone; else one of their own too. */
  readonly singleIp?: boolean
  /** On the DCI: nothing, ARP for the shared address alone, or everything about it. */
  readonly filter: 'none' | 'arp' | 'full'
  /** The site whose router takes what comes in for the VM. */
  readonly inbound: 'x' | 'y'
}

/** Puts the segment into a setting, with a router at site X that checks its neighbours every second or two, not every minute. */
export async function setUp(lab: TestLab, {singleIp, filter, inbound}: Setting): Promise<void> {
  const timers = 'net.ipv4.neigh.seg-b'
  await lab.run(
    'rx',
    'sysctl',
    '-qw',
    `${timers}.base_reachable_time_ms=800`,
    `${timers}.delay_first_probe_time=1`,
    `${timers}.retrans_time_ms=200`,
  )
  if (singleIp) {
    for (const node of ['rx', 'ry']) {
      await lab.run(node, 'sh', '-ec', 'ip address flush dev seg-b; ip address add 10.1.0.254/24 dev seg-b')
    }
  }
  if (inbound === 'x') await lab.run('cy', 'ip', 'route', 'replace', '10.1.0.0/24', 'via', '172.16.0.1')
  if (filter !== 'arp') {
    for (const node of ['sw-x', 'sw-y']) await lab.run(node, 'nft', 'delete', 'table', 'bridge', 'lab')
  }
  if (filter === 'full') await loadFilter(lab)
}

/** What it loads, as nft takes it. */
export const FILTER_TABLE = 'gwswitch/tenant-b/dci-b'

/** The filter of `gwswitch filter apply`, on the DCI ports of both sites. */
export async function loadFilter(lab: TestLab): Promise<void> {
  const text = nftFilter(intentOf(inventoryOf(lab), {ports: ['dci-b'], segments: ['tenant-b']}), 'bridge')
  for (const node of ['sw-x', 'sw-y']) {
    const [program = '', ...args] = namespaceCommand(lab.ns(node), ['nft', '-f', '-'])
    await runCommand(program, args, {input: text})
  }
}

export const inventoryOf = (lab: TestLab) => parseInventory(readFileSync(lab.inventoryFile, 'utf8'), lab.inventoryFile)

/** Lets the bridge at site X answer for the VM, which has left it. */
export async function suppressAtX(lab: TestLab): Promise<void> {
  await lab.run(
    'sw-x',
    'ip',
    'neigh',
    'replace',
    '10.1.0.10',
    'lladdr',
    '02:00:00:00:01:10',
    'dev',
    'br-b',
    'nud',
    'permanent',
  )
  await lab.run('sw-x', 'bridge', 'link', 'set', 'dev', 'dci-b', 'neigh_suppress', 'on')
}

export type Asked = SwitchOutcome & {readonly verdict: Verdict}

/** The VM arrives at site Y, and is switched. */
export async function arriveAndSwitch(lab: TestLab, options: StrategyOptions = {}): Promise<Asked> {
  await (await moveVm(lab.prefix, 'db-03', 'y')).announced
  return switchVm(lab, options)
}

/** Through the VM's own port; throws what kept the network from being asked. */
export async function switchVm(lab: TestLab, options: StrategyOptions = {}): Promise<Asked> {
  const world = worldIn(lab.ns('hv'))
  const switchover = switchoverFrom(resolveSwitchover(inventoryOf(lab), {vm: 'db-03', to: 'y'}))
  const plan = await arp.plan(switchover, {interfaceName: 'db-03', ...options}, world)
  const outcome = await carryOut(arp, plan, world, {signal: new AbortController().signal, hold: true})
  const {verdict, error, end} = outcome
  if (!verdict) throw error ?? new Error(`no verdict, and the switch ended as ${end}`)
  return {...outcome, verdict}
}

/** The MAC that the VM holds for the shared gateway address. */
export async function gatewayOfVm(lab: TestLab): Promise<string | undefined> {
  const entries = JSON.parse(await lab.run('db-03', 'ip', '-json', 'neigh', 'show', '10.1.0.254')) as {
    lladdr?: string
  }[]
  return entries[0]?.lladdr
}

/** Waits for a condition, not for a time; the last value either way. */
export async function until<T>(read: () => Promise<T>, ok: (value: T) => boolean, ms = 10_000): Promise<T> {
  for (const end = performance.now() + ms; ; ) {
    const value = await read()
    if (ok(value) || performance.now() > end) return value
    await sleep(100)
  }
}
