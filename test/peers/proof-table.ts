// What a switch says of a real situation, and what it leaves behind: one row a situation, the same for every strategy.
import {type ChildProcess, spawn} from 'node:child_process'
import {expect} from 'vitest'
import {BEYOND, type SegmentLab, type SegmentNode, Y_MAC} from '../support/segment-lab.ts'
import {until} from '../support/until.ts'
import {type SwitchAt, type SwitchResult, startSwitch} from './proof-switch.ts'

/** What is done to a situation before the switch, as a script in one of its namespaces. */
export type Change = readonly [node: SegmentNode, script: string]

/** By its kernel alone: nobody answers echoes. */
export const DROP_PING: Change = [
  'vm',
  `nft 'add table inet fw; add chain inet fw in { type filter hook input priority 0; }; add rule inet fw in icmp type echo-request drop'`,
]
export const DEAD_Y: Change = ['sw', 'ip link set p-gy down']
export const DEAF_Y: Change = [
  'gy',
  `nft 'add table netdev dead; add chain netdev dead in { type filter hook ingress device eth0 priority 0; policy drop; }'`,
]
export const NO_UPSTREAM_Y: Change = ['gy', 'ip route del default']
export const BROKEN_UPSTREAM_Y: Change = ['net', 'ip link set gy down']
export const NO_FORWARDING_Y: Change = ['gy', 'sysctl -qw net.ipv4.ip_forward=0']
export const OFF: Change = ['vm', 'ip link set eth0 down']
/** A slip in the inventory. */
export const SLIP = (yaml: string): string => yaml.replace(Y_MAC, '02:00:00:00:0b:22')

export interface Row extends Pick<SwitchAt, 'at' | 'flags' | 'inventory'> {
  readonly changes?: readonly Change[]
  /** The inventory knows the addresses of IPv6. */
  readonly ip6?: boolean
  /** The VM sends a packet off its segment every two seconds. */
  readonly talks?: boolean
  /** What happens once the VM is on its way, before anybody has asked the network whether it is there. */
  readonly middle?: (lab: SegmentLab, child: ChildProcess) => unknown
  readonly code: string | null
  /** A line of the evidence. */
  readonly evidence?: string | RegExp
  readonly end: string
  readonly exit: number
  /** Another end that is as right: who is first depends on how busy the machine is. */
  readonly or?: {readonly end: string; readonly exit: number}
  /** The MAC that what the VM sends comes to afterwards; undefined: not looked at. */
  readonly uses?: string
  /** Something beyond answers the VM afterwards; default: true. */
  readonly served?: boolean
  /** Default: where the switch is not left in place, everything is as it was. */
  readonly kept?: boolean
}

/** Runs the switch and does `middle` in the middle of it. */
export type RunRow = (lab: SegmentLab, how: SwitchAt, middle: Row['middle']) => Promise<SwitchResult>

/** How long a process may outlive the switch, ms: its guard, which has been told to do nothing. */
const LEFT_MS = 5000
const NOT_DONE: readonly string[] = ['not-begun', 'already', 'rolled-back']

/** Makes the situation in a lab that others use too, switches, and looks. */
export async function expectRow(
  lab: SegmentLab,
  row: Row,
  run: RunRow = (at, how) => startSwitch(at, how).ended,
): Promise<SwitchResult> {
  await lab.restore()
  for (const [node, script] of row.changes ?? []) await lab.run(node, script)
  using _talk = row.talks ? talkingVm(lab) : undefined
  const before = await lab.kept()
  const running = await lab.processes()
  const {at, flags} = row
  const known = (yaml: string): string => (row.ip6 ? yaml : yaml.replaceAll(/, ip6: \["[^"]+"\]/g, ''))
  const inventory = (yaml: string): string => (row.inventory ?? ((same) => same))(known(yaml))
  const found = await run(lab, {...(at && {at}), ...(flags && {flags}), inventory}, row.middle)
  const {code, end, exitCode} = found.json
  const said = `${JSON.stringify(found.json.error)} ${found.json.evidence.join('\n')}\n${found.stderr}`
  const wanted = [row, row.or ?? row].map((each) => ({
    ...{code: row.code, end: each.end, exit: each.exit, exitCode: each.exit},
  }))
  expect(wanted, said).toContainEqual({code, end, exit: found.exit, exitCode})
  const isAlone = async (): Promise<boolean> => (await lab.processes()).every((pid) => running.includes(pid))
  await until(isAlone, LEFT_MS, 'no process is left')
  if (row.evidence) expect(found.json.evidence, said).toContainEqual(expect.stringMatching(row.evidence))
  if (row.kept ?? NOT_DONE.includes(row.end)) expect(await lab.kept(), said).toBe(before)
  if (row.uses !== undefined) expect(await lab.leavesBy(), said).toBe(row.uses)
  if (row.served !== false) await lab.run('vm', `ping -c1 -W2 ${BEYOND}`)
  return found
}

function talkingVm(lab: SegmentLab): Disposable {
  const talk = spawn('ip', ['netns', 'exec', lab.ns('vm'), 'ping', '-q', '-i2', BEYOND], {stdio: 'ignore'})
  return {[Symbol.dispose]: () => void talk.kill('SIGKILL')}
}
