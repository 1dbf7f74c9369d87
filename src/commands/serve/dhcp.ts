import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {whole} from '../../cli/flags.ts'
import {Failure} from '../../errors.ts'
import type {PrintConfigDocument} from '../../orders/print-config/run-print-config.ts'
import type {ServeDocument} from '../../services/dhcp/serve.ts'

const seconds = (summary: string) => whole({helpValue: 'S', max: 0xffff_fffe, min: 1, summary})
const many = (helpValue: string, summary: string) =>
  Flags.string({default: [], helpValue, multiple: true, multipleNonGreedy: true, summary})

export default class ServeDhcp extends BaseCommand {
  static override summary = 'serve DHCPv4 on a segment, each VM with the gateway of the site it is in now'
  static override description =
    'VMs of the inventory get their own addresses, others get one of --pool. A control socket moves a VM to another site ' +
    '(`gwswitch switch`, `send-reconfigure` use it); its next ACK then carries the gateway there. Leases are on disk before an ACK leaves. ' +
    'Needs root to start, and keeps CAP_NET_RAW and CAP_NET_BIND_SERVICE alone. Logs to stderr, a line an exchange; SIGHUP reads the inventory again, SIGTERM and Ctrl-C stop it.'
  static override examples = [
    {
      description: 'Serve the segment that eth0 is on, names from gwswitch.yaml',
      command: '<%= config.bin %> <%= command.id %> -i eth0',
    },
    {
      description: 'Short polling, long lease: a moved VM asks within 10 s, and a server outage costs no address',
      command: '<%= config.bin %> <%= command.id %> -i eth0 --lease 3600 --t1 10',
    },
    {
      description: 'One of two servers, the other at 10.0.0.4 with --share 2/2, --peer 10.0.0.3 and the same key',
      command:
        '<%= config.bin %> <%= command.id %> -i eth0 --share 1/2 --peer 10.0.0.4 --peer-key /etc/gwswitch/peer.key',
    },
    {
      description: 'Without an inventory',
      command:
        '<%= config.bin %> <%= command.id %> -i eth0 --pool 10.0.0.100-10.0.0.199 --gateway x=10.0.0.1 --gateway y=10.0.0.2 --site x',
    },
  ]
  static override flags = {
    interface: Flags.string({char: 'i', helpValue: 'IF', summary: 'interface on the segment, with an address of it'}),
    segment: Flags.string({
      helpValue: 'NAME',
      summary: "segment of the inventory (default: the one that the interface's address lies in)",
    }),
    pool: many('FIRST-LAST', 'addresses for clients without a reservation; may be repeated'),
    gateway: many('SITE=IP', "a site's gateway, beside the inventory's; may be repeated"),
    reserve: many('[NAME=]MAC=IP', "an address for one VM, beside the inventory's; may be repeated"),
    site: Flags.string({
      helpValue: 'SITE',
      summary: 'where VMs are that nobody placed (default: at the first gateway)',
    }),
    lease: whole({
      helpValue: 'S',
      max: 0xffff_fffe,
      min: 10,
      summary: 'seconds an address is leased (default: 3600)',
    }),
    t1: seconds('seconds until a client renews (default: half the lease); the polling period of a moved VM'),
    t2: seconds('seconds until a client asks any server (default: 7/8 of the lease)'),
    dns: many('IP', 'name server; may be repeated'),
    domain: Flags.string({helpValue: 'NAME', summary: 'domain name'}),
    search: many('NAME', 'domain to search; may be repeated'),
    ntp: many('IP', 'time server; may be repeated'),
    mtu: whole({helpValue: 'BYTES', max: 65_535, min: 68, summary: 'interface MTU'}),
    option: many(
      'CODE=TYPE:VALUE',
      'any other option, for those who ask for it: 66=text:boot.example; TYPE: ip, text, hex, u8, u16, u32',
    ),
    route: many('PREFIX=ROUTER', 'a classless static route (option 121), beside the default route; may be repeated'),
    'next-server': Flags.string({
      helpValue: 'IP',
      summary: 'where clients that boot from the network go on (siaddr)',
    }),
    'ignore-client-id': Flags.boolean({
      summary: 'know clients by their MAC alone: for clones that say one client identifier',
    }),
    'probe-wait': whole({
      default: 300,
      helpValue: 'MS',
      max: 5000,
      min: 0,
      summary: 'ms to ask whether a fresh address is in use before it is offered; 0: do not ask',
    }),
    store: Flags.string({default: '/var/lib/gwswitch/dhcp/leases.db', helpValue: 'FILE', summary: 'lease store'}),
    sync: Flags.option({
      default: 'full',
      options: ['full', 'normal'] as const,
      summary: 'what a lease survives before its ACK leaves: full: a power cut, normal: a kill -9',
    })(),
    control: Flags.string({
      helpValue: 'PATH',
      summary: 'control socket, for its owner only (default: /run/gwswitch/dhcp.sock)',
    }),
    share: Flags.option({
      options: ['1/2', '2/2'] as const,
      summary: 'of two servers of the segment: give out the first or the second half of every pool',
    })(),
    peer: Flags.string({
      helpValue: 'ADDRESS[:PORT]',
      summary: 'the other server of the segment: both know what either is told of a VM (default port: 647)',
    }),
    'peer-key': Flags.string({
      helpValue: 'FILE',
      summary: 'the key of the two servers, 64 hex digits; no user but its owner may read it',
    }),
    'listen-peer': Flags.string({
      helpValue: 'ADDRESS[:PORT]',
      summary: "where the other server's --peer finds this one (default: its address on the segment)",
    }),
    user: Flags.string({
      helpValue: 'USER',
      summary: "whom to become (default: the owner of the store's directory, or nobody)",
    }),
    quiet: Flags.boolean({summary: 'log warnings only'}),
    'print-config': Flags.option({
      options: ['dnsmasq', 'kea', 'isc'] as const,
      summary:
        'serve nothing: print what to add to a server of that make, so that switch can steer it (needs an inventory)',
    })(),
  }

  async run(): Promise<ServeDocument | PrintConfigDocument> {
    const {flags} = await this.parse(ServeDhcp)
    if (flags['print-config'] !== undefined) {
      const {printConfigText, runPrintConfig} = await import('../../orders/print-config/run-print-config.ts')
      const document = runPrintConfig(flags['print-config'], flags.segment, await this.inventory(flags.inventory))
      this.page(printConfigText(document).join('\n'))
      return document
    }
    if (flags.interface === undefined)
      throw new Failure('usage', 'no interface is given (want -i IF, one on the segment to serve)')
    const {
      inventory: file,
      interface: interfaceName,
      lease: leaseS,
      t1: t1S,
      t2: t2S,
      'probe-wait': probeMs,
      'next-server': nextServer,
      'ignore-client-id': ignoreClientId,
      'peer-key': peerKey,
      'listen-peer': listenPeer,
      ...rest
    } = flags
    const options = {...rest, interfaceName, leaseS, t1S, t2S, probeMs, nextServer, ignoreClientId, peerKey, listenPeer}
    const inventory = await this.inventory(file)
    const {becomeServer} = await import('../../services/dhcp/become.ts')
    becomeServer({options, inventory, json: this.jsonEnabled()})
    // Where this process cannot become the server, it is the server.
    const {serveDhcp} = await import('../../services/dhcp/serve.ts')
    const {lineWriter} = await import('../../net/file/line-writer.ts')
    const writer = lineWriter(2)
    try {
      return await serveDhcp(options, inventory, await this.world(), {
        log: writer.write,
        signal: this.interrupt.signal,
      })
    } finally {
      writer.flush()
    }
  }
}
