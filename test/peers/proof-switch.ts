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

/** Runs it on the VM's own port, or at the new gateway, and reads its document. */
export async function switchIn(
  lab: SegmentLab,
  {at = 'port', to = 'y', strategy = 'arp', flags = [], inventory = (yaml) => yaml}: SwitchAt,
): Promise<{json: SwitchDocument; exit: number | null; stderr: string}> {
  writeFileSync(lab.inventoryFile, inventory(lab.inventory))
  const [node, where] = at === 'port' ? (['sw', ['-i', 'vnet0']] as const) : (['gy', []] as const)
  const args = [
    'switch',
    'db-03',
    '--to',
    to,
    '--strategy',
    strategy,
    '-f',
    lab.inventoryFile,
    '--json',
    ...where,
    ...flags,
  ]
  const {code, stdout, stderr} = await tryCommand('ip', ['netns', 'exec', lab.ns(node), process.execPath, dev, ...args])
  try {
    return {json: JSON.parse(stdout), exit: code, stderr}
  } catch {
    throw new Error(`no document (exit ${code}): ${stdout}${stderr}`)
  }
}
