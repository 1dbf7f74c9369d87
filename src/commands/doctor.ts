import {Flags} from '@oclif/core'
import {ListCommand} from '../cli/list-command.ts'
import type {DoctorDocument} from '../orders/doctor/run-doctor.ts'
import {loadStrategies} from '../strategies/registry.ts'

/** How the network is asked, as `inventory check` does by itself. */
const RATE = 500
const WAIT_MS = 400

export default class Doctor extends ListCommand {
  static override summary = 'say what on this host stops gwswitch or will bite, with the command that mends it'
  static override description =
    'Looks at what this user may do, at the kernel (raw frames, nftables for bridges, timeouts, VLANs), at settings where they matter (arp_accept, rp_filter, accept_redirects, arp_ignore, locktime, bridge-nf-call-iptables), at the sockets of services, at the inventory and whether what it names is here; and says which strategies work from here and where the others must run. ' +
    'Changes nothing and sends nothing; with --network gateways and VMs are asked for by ARP, as "inventory check --against-network" does.\n\n' +
    'Exit: 0 nothing is wrong, 10 something is wrong, 12 something cannot work.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    {
      description: 'Only the commands that mend what is wrong',
      command: "<%= config.bin %> <%= command.id %> --json | jq -r '.findings[].mend // empty'",
    },
    {description: 'On a hypervisor, the network too', command: '<%= config.bin %> <%= command.id %> --network -i br0'},
  ]
  static override flags = {
    network: Flags.boolean({summary: 'ask for gateways and VMs by ARP, too'}),
    interface: Flags.string({
      char: 'i',
      dependsOn: ['network'],
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'where to ask; repeat for several (default: every interface with an address on a segment)',
    }),
    site: Flags.string({
      dependsOn: ['network'],
      helpValue: 'SITE',
      summary: 'the site of this host (default: that of a gateway that it is)',
    }),
  }

  async run(): Promise<DoctorDocument> {
    const {flags} = await this.parse(Doctor)
    const [{runDoctor}, {DOCTOR_COLUMNS, doctorText}, {paintWith}, sockets, strategies] = await Promise.all([
      import('../orders/doctor/run-doctor.ts'),
      import('../render/doctor-text.ts'),
      import('../render/paint.ts'),
      this.sockets(),
      this.strategies(),
    ])
    const {interface: ports = [], site} = flags
    const order = {
      ...{place: this.inventoryPlace(flags.inventory), sockets, strategies, program: this.invocation},
      network: flags.network ? {ports, site, rate: RATE, waitMs: WAIT_MS} : undefined,
    }
    const document = await runDoctor(order, {world: await this.world(), signal: this.interrupt.signal})
    this.list(document.findings, DOCTOR_COLUMNS, () => doctorText(document, paintWith(this.colour)))
    process.exitCode = document.exitCode
    return document
  }

  private async strategies(): Promise<{name: string; needs: string}[]> {
    const installed = [...(await loadStrategies(this.config)).values()]
    return Promise.all(
      installed.map(async ({load}) => {
        const {name, traits} = await load()
        return {name, needs: traits.needs}
      }),
    )
  }

  /** Where services take orders by themselves; nobody knows where else they were told to. */
  private async sockets(): Promise<{service: string; path: string}[]> {
    const [{SITE_SOCKET}, {DEFAULT_CONTROL_SOCKET, DEFAULT_SHIM_SOCKET}] = await Promise.all([
      import('../domain/movement/site-socket.ts'),
      import('../domain/dhcp/control.ts'),
    ])
    return [
      {service: 'serve site', path: SITE_SOCKET},
      {service: 'serve dhcp', path: DEFAULT_CONTROL_SOCKET},
      {service: 'serve dhcp-shim', path: DEFAULT_SHIM_SOCKET},
    ]
  }
}
