import {dirname, resolve} from 'node:path'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {pcapFlag} from '../../cli/flags.ts'
import {filesOf} from '../../domain/inventory/site.ts'
import type {ServeArpDocument} from '../../services/arp-responder/serve.ts'

export default class ServeArp extends BaseCommand {
  static override summary = "answer who-has GATEWAY with this site's MAC, for the VMs on this side"
  static override description =
    'Listens on the ports of the VMs that are here and answers their ARP requests and neighbour solicitations for a gateway IP that the sites share, faster than the far gateway can. ' +
    'A VM that still checks the far gateway is asked in turn, which moves it.\n\n' +
    'Where this host can filter its DCI port, "gwswitch filter" is the better way: there the kernel answers, it goes on when this process dies, and nothing of the far gateway comes through. ' +
    'Take this where no filter can be set; with --hold it also counters what the far gateway tells the VMs unasked.\n\n' +
    'Runs until SIGINT or SIGTERM, and then says what it did.'
  static override examples = [
    {
      description: 'Answer for the gateways of site y on two VM ports',
      command: '<%= config.bin %> <%= command.id %> --site y -i vnet0 -i vnet1',
    },
    {
      description: 'On the ports of all VMs, as they come and go',
      command: "<%= config.bin %> <%= command.id %> --site y -i 'vnet*' --hold",
    },
    {
      description: 'Without an inventory',
      command: '<%= config.bin %> <%= command.id %> --gateway 10.1.0.254=02:00:00:00:0b:02 -i vnet0 --hold',
    },
  ]
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      required: true,
      summary:
        "port of a VM that is here, or a pattern of such names ('vnet*'); repeat for several. One that is not there is waited for. Not the bridge: through it the other site's VMs are heard too",
    }),
    site: Flags.string({helpValue: 'SITE', summary: 'answer for the gateways of this site'}),
    gateway: Flags.string({
      helpValue: 'ADDRESS=MAC',
      multiple: true,
      summary: 'answer this address with this MAC, without an inventory',
    }),
    vm: Flags.string({
      helpValue: 'VM',
      multiple: true,
      summary: 'answer this VM alone, by name or MAC (default: whoever asks on the port)',
    }),
    hold: Flags.boolean({
      default: false,
      summary:
        'counter frames that tell a VM another MAC: one that was named from the start, another once it has asked',
    }),
    pcap: pcapFlag,
  }

  /** Frames are all that it needs root for, unless its files are others'. */
  private async confined(files: readonly (string | undefined)[], written: string | undefined): Promise<void> {
    const {CAP_DAC_OVERRIDE, CAP_NET_RAW, confineSelf, isRoots} = await import('../../net/process/confine.ts')
    const ownFiles = files.every((file) => file === undefined || isRoots(resolve(file)))
    confineSelf({
      capabilities: ownFiles ? [CAP_NET_RAW] : [CAP_NET_RAW, CAP_DAC_OVERRIDE],
      folders: written === undefined ? [] : [dirname(resolve(written))],
    })
  }

  async run(): Promise<ServeArpDocument> {
    const {flags} = await this.parse(ServeArp)
    const {awaitedOf, serveArp, serveArpRequest} = await import('../../services/arp-responder/serve.ts')
    const order = {
      interfaceNames: flags.interface,
      site: flags.site,
      gateways: flags.gateway ?? [],
      vms: flags.vm ?? [],
      hold: flags.hold,
    }
    const inventory = await this.inventory(flags.inventory)
    const request = serveArpRequest(order, inventory)
    await this.confined([process.argv[1], ...(inventory ? filesOf(inventory) : []), flags.pcap], flags.pcap)
    const tell = (line: string): void => {
      this.log(line)
      if (this.jsonEnabled()) this.progress(line)
    }
    const document = await serveArp(request, {
      world: await this.world(flags.pcap),
      signal: this.interrupt.signal,
      ready: (asked, ports) => {
        const what = asked.gateways.map(({ip, mac}) => `${ip} is at ${mac}`).join(', ')
        const awaited = awaitedOf(asked, ports)
        tell(
          `answering on ${ports.join(', ') || 'no port yet'}: ${what}${awaited.length > 0 ? `; waiting for ${awaited.join(', ')}` : ''}`,
        )
        for (const mac of asked.unknown)
          this.caution(`the inventory does not know ${mac}: it is held once it has asked`)
      },
      tell,
      log: (line) => this.progress(line),
    })
    for (const {interface: name, answered, asked, held} of document.ports) {
      this.log(`${name}: ${answered} answered, ${asked} of them asked in turn, ${held} frames of others countered`)
    }
    return document
  }
}
