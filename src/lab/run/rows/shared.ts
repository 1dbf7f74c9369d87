// Rows of a VM whose sites share a gateway address: what has to change is the MAC behind it.
import {existsSync, readFileSync} from 'node:fs'
import {Failure} from '../../../errors.ts'
import {parsePcap} from '../../../wire/pcap.ts'
import {until} from '../../until.ts'
import type {RunRow, Stage} from '../row.ts'
import {askSite, serveSite} from './resident.ts'

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

/** By arping(8) at the new gateway's own leg, whose MAC it then announces. */
const arping = (id: string, flag: '-U' | '-A', what: string): RunRow => ({
  ...common,
  id,
  title: `arping ${flag}, ${what}`,
  kind: 'other',
  how: `arping ${flag} -c 3 -I LEG GATEWAY-IP at the new gateway, started on RESUME`,
  vms: both,
  programs: ['arping'],
  start: async ({run, gateways, to}) => ({
    async resumed() {
      const {node, interface: leg, ip} = gateways[to]
      const {code, stderr} = await run(node, ['arping', '-q', flag, '-c', '3', '-I', leg, ip])
      return code === 0 ? null : stderr.trim()
    },
  }),
})

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
  arping('arping.request', '-U', 'gratuitous request'),
  arping('arping.reply', '-A', 'gratuitous reply'),
  {
    ...common,
    id: 'arp.command',
    title: 'arp, switch on RESUME',
    kind: 'gwswitch',
    strategy: 'arp',
    how: 'gwswitch switch VM --to SITE --strategy arp -i PORT, started on RESUME',
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
      let switching: Promise<string> | undefined
      return {
        async awaited() {
          const pcap = stage.file('before-resume.pcap')
          const args = switchArgs(stage, 'arp', '--before-resume', '60', '--pcap', pcap)
          switching = stage.gwswitch(stage.machine.host(stage.to), args)
          await until(async () => framesIn(pcap) >= FRAMES, FRAMES_MS, 'frames wait in the tap', 20)
        },
        resumed: () => switching!,
      }
    },
  },
  {
    ...common,
    id: 'arp.service-watch',
    title: 'arp, serve site that hears it arrive',
    kind: 'gwswitch',
    strategy: 'arp',
    how: 'gwswitch serve site SITE --watch PORT on the hypervisor, running before; nothing tells it',
    vms: ['qemu'],
    start: async (stage) => {
      await serveSite(stage, '--watch', stage.machine.port)
      return {}
    },
  },
  {
    ...common,
    id: 'arp.service-socket',
    title: 'arp, serve site told by its socket',
    kind: 'gwswitch',
    strategy: 'arp',
    how: 'gwswitch serve site SITE --control PATH on the hypervisor, running before; "arrived VM PORT" on RESUME',
    vms: both,
    start: async (stage) => {
      await serveSite(stage)
      return {
        resumed: async () => `${(await askSite(stage, `arrived ${stage.vm.name} ${stage.machine.port}`)).said}`,
      }
    },
  },
  {
    ...common,
    id: 'arp.service-event',
    title: "arp, serve site by QEMU's event",
    kind: 'gwswitch',
    strategy: 'arp',
    how: 'gwswitch serve site SITE --events qmp=SOCKET on the hypervisor, running before RESUME; nothing tells it',
    vms: ['qemu'],
    start: async (stage) => ({
      async awaited() {
        await serveSite(stage, '--events', `qmp=${stage.machine.qemu()!.secondMonitorSocket}`)
      },
    }),
  },
  {
    ...common,
    id: 'mac-proxy.command',
    title: 'mac-proxy, switch on RESUME',
    kind: 'gwswitch',
    strategy: 'mac-proxy',
    how: 'gwswitch switch VM --to SITE --strategy mac-proxy -i PORT on the hypervisor, started on RESUME',
    vms: both,
    start: async (stage) => {
      const host = stage.machine.host(stage.to)
      return {
        resumed: () => stage.gwswitch(host, switchArgs(stage, 'mac-proxy')),
        async end() {
          const released = await stage.gwswitch(host, ['mac-proxy', 'release', stage.vm.name])
          if (!/exit 0$/.test(released)) throw new Failure('runtime', `mac-proxy release: ${released}`)
        },
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
