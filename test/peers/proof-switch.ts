// `gwswitch switch`, as a process in a segment lab.
import {writeFileSync} from 'node:fs'
import {tryCommand} from '../../src/net/process/command.ts'
import type {SwitchDocument} from '../../src/orders/switch/run-switch.ts'
import type {SegmentLab} from '../support/segment-lab.ts'

export interface SwitchAt {
  readonly at?: 'port' | 'gateway'
  readonly to?: string
  readonly strategy?: string
  readonly flags?: readonly string[]
  readonly inventory?: (yaml: string) => string
}

const dev = new URL('../../bin/dev.js', import.meta.url).pathname

/** What to call Node with. */
export function switchArgs(
  lab: SegmentLab,
  {at = 'port', to = 'y', strategy = 'arp', flags = []}: Omit<SwitchAt, 'inventory'>,
): string[] {
  const where = at === 'port' ? ['-i', 'vnet0'] : []
  const what = ['switch', 'db-03', '--to', to, '--strategy', strategy, '-f', lab.inventoryFile]
  return [dev, ...what, '--json', ...where, ...flags]
}

/** Runs it on the VM's own port, or at the new gateway, and reads its document. */
export async function switchIn(
  lab: SegmentLab,
  {inventory = (yaml) => yaml, ...how}: SwitchAt,
): Promise<{json: SwitchDocument; exit: number | null; stderr: string}> {
  writeFileSync(lab.inventoryFile, inventory(lab.inventory))
  const node = (how.at ?? 'port') === 'port' ? 'sw' : 'gy'
  const argv = ['netns', 'exec', lab.ns(node), process.execPath, ...switchArgs(lab, how)]
  const {code, stdout, stderr} = await tryCommand('ip', argv)
  try {
    return {json: JSON.parse(stdout), exit: code, stderr}
  } catch {
    throw new Error(`no document (exit ${code}): ${stdout}${stderr}`)
  }
}
