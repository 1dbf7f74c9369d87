import {Args, Flags} from '@oclif/core'
import {auditFlag} from '../cli/agent-flags.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, whole} from '../cli/flags.ts'
import type {NotifyDocument} from '../orders/notify/notify-report.ts'

export default class NotifyAgent extends BaseCommand {
  static override summary = 'tell the agent in a VM to use another gateway, and wait until it has proved it'
  static override description =
    'Sends a signed command, repeats it until it is answered, checks the signature of the answer, and confirms. ' +
    'The VM goes back by itself if it cannot prove the new gateway, or if no confirmation comes. ' +
    'Where this host sees what the VM sends, it looks before it confirms, and takes back what is not so. ' +
    'Through a QEMU guest agent (--transport qga, or --domain) it switches a VM that has no gwswitch agent.\n\n' +
    'Exit: 0 confirmed, 3 rolled back, 4 refused, 5 no answer or no decision in time; 7 stopped and not taken back for certain; of several VMs the first of 7, 3, 4, 5 that any ended in.'
  static override examples = [
    {
      description: 'To the gateway of site y, everything from gwswitch.yaml',
      command: '<%= config.bin %> <%= command.id %> web-07 --to y',
    },
    {
      description: 'Without an inventory',
      command:
        '<%= config.bin %> <%= command.id %> 10.0.0.10 --id web-07 --gateway 10.0.0.2 --key site-y.key --agent-key 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    },
    {
      description: 'A VM without gwswitch, through its QEMU guest agent, proved by an address beyond the gateway',
      command:
        '<%= config.bin %> <%= command.id %> 10.0.0.10 --transport qga --socket /run/web-07.qga --gateway 10.0.0.2 --probe 203.0.113.10',
    },
  ]
  static override args = {
    vm: Args.string({description: 'VMs by their names in the inventory, or addresses'}),
  }
  static override strict = false
  static override flags = {
    gateway: Flags.string({
      default: [],
      exclusive: ['to'],
      helpValue: 'IP',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'the new gateway, or its name; twice for IPv4 and IPv6',
    }),
    to: Flags.string({helpValue: 'SITE', summary: 'the gateway of this site, from the inventory'}),
    from: Flags.string({
      default: [],
      helpValue: 'IP',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'refuse unless this gateway is in use',
    }),
    key: Flags.string({helpValue: 'FILE', summary: "private key to sign with (default: the new site's agentKey)"}),
    kid: Flags.string({helpValue: 'ID', summary: "name under which agents know that key (default: the file's name)"}),
    'agent-key': Flags.string({helpValue: 'KEY|FILE', summary: "public half of the agent's key"}),
    id: Flags.string({helpValue: 'ID', summary: "the VM's id in its agent's configuration (default: its name)"}),
    mode: Flags.string({options: ['replace', 'rule', 'drain'], summary: "how (default: the VM's own choice)"}),
    probe: Flags.string({
      default: [],
      helpValue: 'IP',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'address beyond the gateway that must answer an echo; of several, one',
    }),
    'confirm-within': whole({
      default: 10,
      helpValue: 'S',
      max: 3600,
      summary: 'the VM goes back unless a confirmation reaches it within S seconds; 0: its own probes decide',
    }),
    timeout: whole({default: 10, helpValue: 'S', min: 1, max: 600, summary: 'seconds to ask for an answer'}),
    transport: Flags.string({
      options: ['udp', 'unix', 'qga', 'libvirt'],
      summary: 'the way to it (default: what the inventory has, else udp)',
    }),
    socket: Flags.string({helpValue: 'PATH', summary: "unix socket of the agent, or of the VM's QEMU guest agent"}),
    domain: Flags.string({helpValue: 'NAME', summary: "the VM's libvirt domain, for its QEMU guest agent"}),
    connect: Flags.string({helpValue: 'URI', summary: "libvirt's connection URI (default: virsh's own)"}),
    port: whole({helpValue: 'N', min: 1, max: 65_535, summary: 'UDP port of the agent (default: 6742)'}),
    interface: Flags.string({
      char: 'i',
      helpValue: 'IF',
      summary: "where this host sees what the VM sends: its port or bridge (default: the gateway's own leg)",
    }),
    rate: whole({default: 20, helpValue: 'N', min: 1, max: 1000, summary: 'VMs begun per second'}),
    'dry-run': dryRunFlag,
    audit: auditFlag(),
  }

  async run(): Promise<NotifyDocument> {
    const {argv, flags} = await this.parse(NotifyAgent)
    const {runNotify} = await import('../orders/notify/run-notify.ts')
    const {notifyText} = await import('../orders/notify/notify-report.ts')
    const order = {
      ...flags,
      vms: argv as string[],
      agentKey: flags['agent-key'],
      interfaceName: flags.interface,
      confirmS: flags['confirm-within'],
      timeoutMs: flags.timeout * 1000,
    }
    const document = await runNotify(order, await this.inventory(flags.inventory), {
      world: await this.world(),
      signal: this.interrupt.signal,
      dryRun: flags['dry-run'],
      rate: flags.rate,
      progress: (done, all) => this.meter(done < all ? `${done} of ${all} VMs` : ''),
      onEvent: (vm, text) => this.meter(`${vm}: ${text}`),
      stopped: () => this.stopCode,
    })
    this.meter('')
    if (flags.audit !== undefined && !document.dryRun)
      await this.audit(
        flags.audit,
        document.vms.map(({vm, state, reason, detail, wanted}) => ({
          event: 'notify',
          message: `${vm}: ${state}${reason === null ? '' : `: ${reason}`}${detail === null ? '' : `: ${detail}`}`,
          fields: {
            vm,
            run: document.run,
            state: state ?? undefined,
            reason: reason ?? undefined,
            gw4: wanted.v4 ?? undefined,
            gw6: wanted.v6 ?? undefined,
          },
        })),
      )
    await this.prose(notifyText(document))
    process.exitCode = document.exitCode
    return document
  }
}
