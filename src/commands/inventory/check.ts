import {Flags} from '@oclif/core'
import {pcapFlag, whole} from '../../cli/flags.ts'
import {ListCommand} from '../../cli/list-command.ts'
import type {InventoryCheckDocument} from '../../orders/inventory/check.ts'
import {loadStrategies} from '../../strategies/registry.ts'

export default class InventoryCheck extends ListCommand {
  static override summary = 'say all that is wrong or suspicious in an inventory, and whether the network agrees'
  static override description =
    'Names every finding with file, line and key, not only the first: what any command would refuse, and what none does and hardly anybody wants (segments without a gateway at a site, VMs that no strategy can switch, prefixes that overlap, files that are not there). ' +
    "With --against-network, gateways and VMs are asked for by ARP probes at this host's interfaces, which change no neighbour table: who answers, at which MAC, behind which port, at which site. Over IPv4 alone. That needs CAP_NET_RAW.\n\n" +
    "Exit: 0 nothing found, 2 the file is wrong, 12 a gateway answers at another MAC, or is silent at this host's own site, 10 something is suspicious or a VM is at another MAC, 11 something did not answer, or could not be asked."
  static override examples = [
    '<%= config.bin %> <%= command.id %> -f gwswitch.yaml',
    {
      description: 'On a hypervisor, at its bridge',
      command: '<%= config.bin %> <%= command.id %> --against-network -i br0 --site y',
    },
  ]
  static override flags = {
    'against-network': Flags.boolean({summary: 'ask the network, too'}),
    interface: Flags.string({
      char: 'i',
      dependsOn: ['against-network'],
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'where to ask; repeat for several (default: every interface with an address on a segment)',
    }),
    site: Flags.string({
      dependsOn: ['against-network'],
      helpValue: 'SITE',
      summary: 'the site of this host (default: that of a gateway that it is)',
    }),
    rate: whole({
      default: 500,
      helpValue: 'N',
      max: 10_000,
      min: 1,
      summary: 'addresses asked for a second, by a broadcast and a unicast frame each',
    }),
    timeout: whole({
      default: 400,
      helpValue: 'MS',
      max: 60_000,
      min: 10,
      summary: 'ms to wait for answers, after each of three rounds',
    }),
    pcap: pcapFlag,
  }

  async run(): Promise<InventoryCheckDocument> {
    const {flags} = await this.parse(InventoryCheck)
    const [{checkInventoryFile}, {checkText, FINDING_COLUMNS}, {paintWith}, strategies] = await Promise.all([
      import('../../orders/inventory/check.ts'),
      import('../../orders/inventory/check-text.ts'),
      import('../../render/paint.ts'),
      loadStrategies(this.config),
    ])
    const {interface: ports = [], site, rate, timeout: waitMs} = flags
    const order = {
      place: this.inventoryPlace(flags.inventory),
      installed: [...strategies.keys()],
      network: flags['against-network'] ? {ports, site, rate, waitMs} : undefined,
    }
    const stage = {world: () => this.world(flags.pcap), signal: this.interrupt.signal}
    const document = await checkInventoryFile(order, stage)
    this.list(document.findings, FINDING_COLUMNS, () => checkText(document, paintWith(this.colour)))
    process.exitCode = document.exitCode
    return document
  }
}
