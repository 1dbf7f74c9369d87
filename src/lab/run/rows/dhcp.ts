// Rows of a guest whose gateway is that of its lease.
import {writeFileSync} from 'node:fs'
import {until} from '../../until.ts'
import type {RunRow} from '../row.ts'

const CONTROL = 'nothing.dhcpcd'
const TAKEN_MS = 10_000
/** A client in an emulated guest. */
const WINDOW_MS = 5000
const common = {
  set: 'dhcp',
  control: CONTROL,
  vms: ['qemu'],
  programs: ['dnsmasq', 'dhcpcd', 'dash'],
  windowMs: WINDOW_MS,
} as const

export const DHCP_ROWS: readonly RunRow[] = [
  {
    ...common,
    id: CONTROL,
    title: 'nothing (dhcpcd, a shim at each site that nobody speaks to)',
    kind: 'control',
    how: 'nothing is done',
    start: async () => ({}),
  },
  {
    ...common,
    id: 'dhcp.forcerenew',
    title: 'dhcp, dhcpcd, switch on RESUME',
    kind: 'gwswitch',
    strategy: 'dhcp',
    how: 'gwswitch switch VM --to SITE --strategy dhcp -i PORT on the hypervisor, started on RESUME; the shim there sends a FORCERENEW',
    start: async (stage) => ({
      resumed() {
        const {vm, to, machine, dhcp} = stage
        const file = stage.file('gwswitch.yaml')
        writeFileSync(file, dhcp!.inventory(to))
        const args = ['switch', vm.name, '--to', to, '--strategy', 'dhcp', '-i', machine.port]
        return stage.gwswitch(machine.host(to), args, file)
      },
    }),
  },
  {
    ...common,
    id: 'dhcp.shim',
    title: 'dhcp, dhcpcd, the shim told by its socket',
    kind: 'gwswitch',
    strategy: 'dhcp',
    how: 'gwswitch serve dhcp-shim SITE on the hypervisor, running before; {"do": "forcerenew"} to its socket on RESUME',
    start: async ({dhcp, to, vm}) => ({
      async resumed() {
        // It is refused until the shim has heard the VM at a port there.
        const taken = async (): Promise<boolean> => (await dhcp!.ask(to, {do: 'forcerenew', vm: vm.name})).ok
        await until(taken, TAKEN_MS, 'the shim takes it', 10)
        return null
      },
    }),
  },
]
