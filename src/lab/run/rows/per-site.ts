// Rows of a VM whose sites have a gateway address each: what has to change is a route in the VM.
import {writeFileSync} from 'node:fs'
import {openGuestAgent} from '../../../net/stream/qga.ts'
import type {RunRow, Stage} from '../row.ts'

const CONTROL = 'nothing.per-site'
const common = {set: 'per-site', control: CONTROL} as const
const both = ['qemu', 'netns'] as const
const RUN_MS = 30_000

/** Programs run one after the other in the guest, by the guest agent where it now runs. */
async function inGuest({machine}: Stage, ...commands: readonly (readonly string[])[]): Promise<string | null> {
  const agent = await openGuestAgent(machine.qemu()!.agentSocket, AbortSignal.timeout(RUN_MS))
  try {
    for (const argv of commands) {
      const {code, stderr} = await agent.run(argv, {timeoutMs: RUN_MS})
      if (code !== 0) return `${argv.join(' ')}: ${stderr.trim()}`
    }
    return null
  } finally {
    agent.close()
  }
}

/** As the guest has it from its start (image.ts). */
const route = ({gateways, to}: Stage): string[] =>
  `default via ${gateways[to].ip} dev eth0 proto static metric 100`.split(' ')

export const PER_SITE_ROWS: readonly RunRow[] = [
  {
    ...common,
    id: CONTROL,
    title: 'nothing (a gateway IP per site)',
    kind: 'control',
    how: 'nothing is done',
    vms: both,
    start: async () => ({}),
  },
  {
    ...common,
    id: 'route.replace',
    title: 'ip route replace, by the guest agent',
    kind: 'other',
    how: 'guest-exec of ip route replace default via GATEWAY, on RESUME',
    vms: ['qemu'],
    start: async (stage) => ({resumed: () => inGuest(stage, ['/sbin/ip', 'route', 'replace', ...route(stage)])}),
  },
  {
    ...common,
    id: 'route.del-add',
    title: 'ip route del and add, by the guest agent',
    kind: 'other',
    how: 'guest-exec of ip route del default, then of ip route add default via GATEWAY, on RESUME',
    vms: ['qemu'],
    start: async (stage) => ({
      resumed: () =>
        inGuest(stage, ['/sbin/ip', 'route', 'del', 'default'], ['/sbin/ip', 'route', 'add', ...route(stage)]),
    }),
  },
  {
    ...common,
    id: 'agent.qga',
    title: 'agent by qga, switch on RESUME',
    kind: 'gwswitch',
    strategy: 'agent',
    how: 'gwswitch switch VM --to SITE --strategy agent -i PORT on the hypervisor (agent.qga in the inventory), started on RESUME',
    vms: ['qemu'],
    start: async (stage) => ({
      async resumed() {
        const {vm, to, machine} = stage
        const file = stage.file('gwswitch.yaml')
        const agent = `agent: { qga: ${machine.qemu()!.agentSocket} }`
        writeFileSync(file, stage.inventory.replace(`${vm.name}: {`, `${vm.name}: { ${agent},`))
        const args = ['switch', vm.name, '--to', to, '--strategy', 'agent', '-i', machine.port]
        return stage.gwswitch(machine.host(to), args, file)
      },
    }),
  },
]
