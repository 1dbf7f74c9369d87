// `gwswitch switch`, as a process in a segment lab.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {writeFileSync} from 'node:fs'
import {text} from 'node:stream/consumers'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import type {SegmentLab} from '../support/segment-lab.ts'

export interface SwitchAt {
  /** `bridge`: without an interface that is named. */
  readonly at?: 'port' | 'bridge' | 'gateway'
  readonly to?: string
  readonly strategy?: string
  readonly flags?: readonly string[]
  readonly inventory?: (yaml: string) => string
  readonly env?: Readonly<Record<string, string>>
}

export interface SwitchResult {
  readonly json: SwitchDocument
  readonly exit: number | null
  readonly stderr: string
}

const bin = new URL('../../bin/run.js', import.meta.url).pathname

/** What to call Node with. */
export function switchArgs(
  lab: SegmentLab,
  {at = 'port', to = 'y', strategy = 'arp', flags = []}: Omit<SwitchAt, 'inventory' | 'env'>,
): string[] {
  const where = at === 'port' ? ['-i', 'vnet0'] : []
  const what = ['switch', 'db-03', '--to', to, '--strategy', strategy, '-f', lab.inventoryFile]
  return [bin, ...what, '--json', ...where, ...flags]
}

/** Starts it on the VM's own port, on its bridge, or at the new gateway; `ended` reads its document. */
export function startSwitch(
  lab: SegmentLab,
  {inventory = (yaml) => yaml, env, ...how}: SwitchAt,
): {readonly child: ChildProcess; readonly ended: Promise<SwitchResult>} {
  writeFileSync(lab.inventoryFile, inventory(lab.inventory))
  const node = how.at === 'gateway' ? 'gy' : 'sw'
  const argv = ['netns', 'exec', lab.ns(node), process.execPath, ...switchArgs(lab, how)]
  const child = spawn('ip', argv, {stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, ...env}})
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)])
  return {child, ended: ended.then(([[exit], stdout, stderr]) => ({json: documentOf(stdout, stderr), exit, stderr}))}
}

export const switchIn = (lab: SegmentLab, how: SwitchAt): Promise<SwitchResult> => startSwitch(lab, how).ended

function documentOf(stdout: string, stderr: string): SwitchDocument {
  try {
    return JSON.parse(stdout)
  } catch {
    throw new Error(`no document: ${stdout}${stderr}`)
  }
}
