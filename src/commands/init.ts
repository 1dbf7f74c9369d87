import {Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, pcapFlag, whole} from '../cli/flags.ts'
import type {InitDocument} from '../orders/init/init-document.ts'

/** Where the inventory is looked for, too. */
const FILE = 'gwswitch.yaml'

export default class Init extends BaseCommand {
  static override summary = 'write an inventory from what is heard on a port'
  static override description =
    'Listens at bridges or interfaces and asks who is there: by ARP for the addresses that routers usually have and for those that are heard, by a router solicitation, and by an echo to each station that a router gives back. Reads VRRP and HSRP hellos, router advertisements, DHCP offers, and what the bridge has learned. At most 40 frames a second are sent, none of which changes a neighbour table; --silent sends none. ' +
    'What lies behind a tunnel, or behind a port of --inter-site, is the other site. What was seen is written with what said so, what is guessed says that it is. A port of a bridge stands for the bridge.\n\n' +
    'On a terminal it asks what only a person knows; without one, or with --yes, that stays a guess in a comment.\n\n' +
    'Exit: 0 written, 2 the file exists, 5 no gateway was seen.'
  static override examples = [
    {description: 'On a hypervisor, at the bridge of its VMs', command: '<%= config.bin %> <%= command.id %> -i br0'},
    {
      description: 'With the names of both sites, and the port that leads to the other',
      command: '<%= config.bin %> <%= command.id %> -i br0 --site y --inter-site vx0=x --yes',
    },
    {
      description: 'Quiet VMs too, and what DHCP says; show it only',
      command: '<%= config.bin %> <%= command.id %> -i br0 --sweep --ask-dhcp --dry-run',
    },
  ]
  static override flags = {
    interface: Flags.string({
      char: 'i',
      helpValue: 'PORT',
      multiple: true,
      multipleNonGreedy: true,
      required: true,
      summary: 'a bridge, a port of one, or another interface; repeat for several',
    }),
    'inter-site': Flags.string({
      helpValue: 'PORT[=SITE]',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'a port that leads to another site, and its name; repeat for several (default: tunnels)',
    }),
    site: Flags.string({helpValue: 'SITE', summary: 'the name of the site on this side (default: here)'}),
    segment: Flags.string({helpValue: 'NAME', summary: 'the name of the segment (default: by its interface or VLAN)'}),
    prefix: Flags.string({
      helpValue: 'PREFIX',
      multiple: true,
      multipleNonGreedy: true,
      summary:
        "an IPv4 prefix of the segment; repeat for several (default: by this host's address, DHCP, else a guess)",
    }),
    listen: whole({default: 15, helpValue: 'S', max: 3600, min: 3, summary: 'seconds to listen'}),
    sweep: Flags.boolean({
      exclusive: ['silent'],
      summary: 'ask for every address of a prefix, up to 1,022 of them; give --listen 60 for so many',
    }),
    'ask-dhcp': Flags.boolean({exclusive: ['silent'], summary: 'send a DHCPDISCOVER; no lease is taken'}),
    silent: Flags.boolean({summary: 'listen alone: send nothing'}),
    yes: Flags.boolean({char: 'y', summary: 'ask nothing: take the guesses'}),
    force: Flags.boolean({summary: 'write over a file that exists'}),
    'dry-run': dryRunFlag,
    pcap: pcapFlag,
  }

  async run(): Promise<InitDocument> {
    const {flags} = await this.parse(Init)
    const file = flags.inventory ?? FILE
    const write = !flags['dry-run']
    const {readText} = await import('../net/file/text-file.ts')
    if (write && !flags.force && readText(file) !== undefined) {
      const {usage} = await import('../errors.ts')
      throw usage(`${file} exists: give --force to write over it, -f FILE for another, or --dry-run to look`)
    }
    const [{initRequest}, {initDocument}, {survey}, {askInit, canAsk}] = await Promise.all([
      import('../orders/init/init-order.ts'),
      import('../orders/init/init-document.ts'),
      import('../probe/survey.ts'),
      import('../cli/prompt.ts'),
    ])
    const world = await this.world(flags.pcap)
    const order = {
      ...{interfaces: flags.interface, interSite: flags['inter-site'] ?? [], site: flags.site, segment: flags.segment},
      ...{prefixes: flags.prefix ?? [], listenS: flags.listen, silent: flags.silent, sweep: flags.sweep},
      askDhcp: flags['ask-dhcp'],
    }
    const request = await initRequest(order, world)
    const interfaces = request.survey.places.map(({name}) => name)
    const stations = (book: Awaited<ReturnType<typeof survey>>): number =>
      [...book.lans.values()].reduce((sum, lan) => sum + lan.stations.size, 0)
    const book = await survey(
      {
        ...request.survey,
        onProgress: (so, leftMs) =>
          this.meter(
            `listening at ${interfaces.join(', ')}: ${Math.ceil(leftMs / 1000)} s left, ${stations(so)} stations so far`,
          ),
      },
      world,
      this.interrupt.signal,
    )
    this.meter('')
    const choices =
      flags.yes || !canAsk(this.jsonEnabled()) ? request.choices : await askInit(book, request.known, request.choices)
    const document = initDocument({
      ...{book, known: request.known, choices, interfaces, listenedS: flags.listen, file, written: write},
      ...{command: ['gwswitch', 'init', ...this.argv].join(' '), at: new Date()},
    })
    if (write) await this.write(file, document.text, flags.force)
    await this.show(document)
    return document
  }

  private async write(file: string, text: string, force: boolean): Promise<void> {
    const {createFile, replaceFile} = await import('../net/file/replace-file.ts')
    if (force) replaceFile(file, text)
    else createFile(file, text, 0o644)
  }

  private async show({text, written, file, segments, notes}: InitDocument): Promise<void> {
    if (!written) return this.page(text)
    const {guesses, initSummary} = await import('../render/init-text.ts')
    for (const line of initSummary(segments, notes)) this.log(line)
    const count = guesses(text)
    const check = count === 0 ? '' : `; check what is guessed in it: grep -n guess ${file}`
    this.log(`written: ${file}${check}`)
  }
}
