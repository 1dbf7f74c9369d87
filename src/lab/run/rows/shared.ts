// Rows of a VM whose sites share a gateway address: what has to change is the MAC behind it.
import {existsSync, readFileSync} from 'node:fs'
import {parsePcap} from '../../../wire/pcap.ts'
import {until} from '../../until.ts'
import type {RunRow, Stage} from '../row.ts'

const CONTROL = 'nothing.shared'
const common = {set: 'shared', control: CONTROL} as const
const both = ['qemu', 'netns'] as const

/** `switch` at the VM's port, as a hook of the hypervisor calls it. */
const switchArgs = ({vm, to, machine}: Stage, strategy: string, ...more: readonly string[]): string[] => [
  ...['switch', vm.name, '--to', to, '--strategy', strategy, '-i', machine.port],
  ...more,
]

/** Frames that wait in a tap; QEMU takes one of them away when it begins to come in. */
const FRAMES = 2
const FRAMES_MS = 30_000

export const SHARED_ROWS: readonly RunRow[] = [
  {
    ...common,
    id: CONTROL,
    title: 'nothing (shared gateway IP)',
    kind: 'control',
    how: 'nothing is done',
    vms: both,
    start: async () => ({}),
  },
  {
    ...common,
    id: 'arp.command',
    title: 'arp, switch on RESUME',
    kind: 'gwswitch',
    strategy: 'arp',
    how: 'gwswitch switch VM --to SITE --strategy arp -i TAP, started on RESUME',
    vms: both,
    start: async (stage) => ({
      resumed: () => stage.gwswitch(stage.machine.host(stage.to), switchArgs(stage, 'arp')),
    }),
  },
  {
    ...common,
    id: 'arp.before-resume',
    title: 'arp, switch --before-resume',
    kind: 'gwswitch',
    strategy: 'arp',
    how: 'gwswitch switch VM --to SITE --strategy arp -i TAP --before-resume 60, started before the migration',
    vms: ['qemu'],
    start: async (stage) => {
      const pcap = stage.file('before-resume.pcap')
      let switching: Promise<string> | undefined
      return {
        async awaited() {
          const args = switchArgs(stage, 'arp', '--before-resume', '60', '--pcap', pcap)
          switching = stage.gwswitch(stage.machine.host(stage.to), args)
          let ended = false
          const end = (): void => {
            ended = true
          }
          switching.then(end, end)
          await until(async () => ended || framesIn(pcap) >= FRAMES, FRAMES_MS, 'frames wait in the tap', 20)
        },
        resumed: () => switching!,
      }
    },
  },
]

function framesIn(pcap: string): number {
  try {
    return existsSync(pcap) ? parsePcap(readFileSync(pcap)).frames.length : 0
  } catch {
    // Its first bytes are not there yet.
    return 0
  }
}
