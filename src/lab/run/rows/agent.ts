// Rows of a guest that runs the agent.
import {agentKnowsSite} from '../agent-guest.ts'
import type {RunRow} from '../row.ts'

const CONTROL = 'nothing.agent'
const common = {set: 'agent', control: CONTROL, vms: ['qemu'], programs: ['mke2fs']} as const
/** Beacons come once a second, and the guest's CPU is emulated. */
const BEACONS_WINDOW_MS = 12_000

export const AGENT_ROWS: readonly RunRow[] = [
  {
    ...common,
    id: CONTROL,
    title: 'nothing (the agent runs, and nobody speaks to it)',
    kind: 'control',
    how: 'nothing is done',
    start: async () => ({}),
  },
  {
    ...common,
    id: 'agent.udp',
    title: 'agent by udp, switch on RESUME',
    kind: 'gwswitch',
    strategy: 'agent',
    how: 'gwswitch switch VM --to SITE --strategy agent -i LEG at the new gateway, started on RESUME',
    start: async (stage) => ({
      resumed() {
        const {node, interface: leg} = stage.gateways[stage.to]
        return stage.gwswitch(node, ['switch', stage.vm.name, '--to', stage.to, '--strategy', 'agent', '-i', leg])
      },
    }),
  },
  {
    ...common,
    id: 'agent.beacons',
    title: 'agent by beacons, the guest notices by itself',
    kind: 'gwswitch',
    strategy: 'agent',
    how: 'gwswitch serve site SITE -i LEG at either gateway, running before; nothing tells it',
    windowMs: BEACONS_WINDOW_MS,
    start: async (stage) => {
      await Promise.all(
        Object.values(stage.gateways).map(({site, node, interface: leg}) =>
          stage.serve(node, ['serve', 'site', site, '-i', leg, '--no-journal'], /listening for notes/),
        ),
      )
      await agentKnowsSite(stage.machine, stage.from)
      return {}
    },
  },
]
