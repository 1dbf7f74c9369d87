// The README's first five minutes as steps, and how each ends: for the test that pastes them, and for the check of the
// packages, which does so with what was installed.
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {fencesOf} from './markdown.ts'

const section = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  .split('\n## The first five minutes\n')[1]!
  .split('\n## ')[0]!
const fences = fencesOf(section)

/** The two files that a reader writes: gateways with addresses of their own, and with a shared one. */
export const inventories = fences.filter(({language}) => language === 'yaml').map(({text}) => text)

const shell = fences.filter(({language}) => language === 'sh').map(({text}) => text)
export const [labSetUp, names] = shell as [string, string]
const [check, trace, plan, carryOut, traceInVm, lookBack] = shell.slice(2) as [
  ...[string, string, string, string, string, string],
]

export interface FirstStep {
  readonly text: string
  /** Where it is pasted: the hypervisor, or in the VM. */
  readonly at: 'hv' | 'vm'
  readonly code: number
  /** Said in a line of it (an extended regular expression, regex(7)). */
  readonly says: string
}

export interface FirstWalk {
  readonly vm: 'web-07' | 'db-03'
  readonly inventory: string
  readonly steps: readonly FirstStep[]
}

/** `checked`: the exit code of `inventory check`; `again`: the trace after the switch. */
function walk(vm: FirstWalk['vm'], inventory: string, checked: number, strategy: string, again: FirstStep): FirstWalk {
  const steps: FirstStep[] = [
    {text: check, at: 'hv', code: checked, says: '0 errors, 0 warnings'},
    {text: trace, at: 'hv', code: 10, says: 'EGRESS +TROMBONE'},
    {text: plan, at: 'hv', code: 0, says: 'dry run: nothing was sent'},
    {text: carryOut, at: 'hv', code: 0, says: '^SWITCHED'},
    again,
    {text: lookBack, at: 'hv', code: 0, says: `${vm}.*${strategy}.*switched`},
    {text: trace, at: 'hv', code: 10, says: 'EGRESS +TROMBONE'},
  ]
  return {vm, inventory, steps}
}

const GONE = {code: 0, says: 'EGRESS +no trombone'}

export const walks: readonly FirstWalk[] = [
  walk('web-07', inventories[0]!, 0, 'mac-proxy', {text: traceInVm, at: 'vm', ...GONE}),
  walk('db-03', inventories[1]!, 11, 'arp', {text: trace, at: 'hv', ...GONE}),
]

/** Shell in the VM, before the steps, that keeps its ARP entry of before young: else the lab's filter lets it heal while we look. */
export const oldEntry = (vm: FirstWalk['vm']): string =>
  [
    'echo 3600000 >/proc/sys/net/ipv4/neigh/eth0/base_reachable_time_ms',
    ...(vm === 'db-03'
      ? [
          // The kernel has one table for all namespaces, and it may be full for a moment (arp(7), gc_thresh3).
          "timeout 60 sh -c 'until ip neigh replace 10.1.0.254 lladdr 02:00:00:00:0a:02 dev eth0 nud reachable; do sleep 1; done'",
        ]
      : []),
  ].join('\n')
