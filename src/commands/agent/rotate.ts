import {Args, Flags} from '@oclif/core'
import {auditFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {whole} from '../../cli/flags.ts'
import type {RotateDocument} from '../../orders/rotate/rotate.ts'

export default class AgentRotate extends BaseCommand {
  static override summary =
    'tell agents to trust a new key in the place of the one that signs, or no longer to trust one'
  static override description =
    'A key may introduce another one, which then may do what it may itself, and revoke those that may do the same; with a ' +
    'revoked key goes what it has introduced, but for the key that revokes. Both outlive the agent and its configuration: ' +
    'a revoked key is not obeyed again, whatever it is called. "gwswitch agent keys" in the VM shows them.\n\n' +
    'Exit: 0 done, 4 refused, 5 no answer; of several VMs the first that is not 0.'
  static override examples = [
    {
      description: "Next year's key, signed for by this year's",
      command:
        '<%= config.bin %> <%= command.id %> web-07 db-03 --key site-y.key --introduce site-y-2027.pub --as site-y-2027',
    },
    {
      description: 'A key that was stolen; signed by the one that follows it',
      command: '<%= config.bin %> <%= command.id %> web-07 db-03 --key site-y-2027.key --revoke site-y',
    },
  ]
  static override args = {vm: Args.string({description: 'VMs by their names in the inventory, or addresses'})}
  static override strict = false
  static override flags = {
    key: Flags.string({helpValue: 'FILE', required: true, summary: 'private key to sign with'}),
    kid: Flags.string({helpValue: 'ID', summary: "name under which agents know that key (default: the file's name)"}),
    introduce: Flags.string({helpValue: 'KEY|FILE', summary: 'public half of the new key'}),
    as: Flags.string({helpValue: 'ID', summary: 'name of the new key'}),
    'not-before': Flags.string({
      helpValue: 'TIME',
      summary: 'when the new key begins to be valid, 2027-01-31T12:00:00Z',
    }),
    'not-after': Flags.string({helpValue: 'TIME', summary: 'when it ends'}),
    revoke: Flags.string({exclusive: ['introduce'], helpValue: 'ID', summary: 'name of the key to revoke'}),
    'agent-key': Flags.string({helpValue: 'KEY|FILE', summary: "public half of the agent's key"}),
    id: Flags.string({helpValue: 'ID', summary: "the VM's id in its agent's configuration (default: its name)"}),
    socket: Flags.string({helpValue: 'PATH', summary: 'unix socket of the agent'}),
    port: whole({helpValue: 'N', min: 1, max: 65_535, summary: 'UDP port of the agent (default: 6742)'}),
    timeout: whole({default: 10, helpValue: 'S', min: 1, max: 600, summary: 'seconds to ask for an answer'}),
    audit: auditFlag(),
  }

  async run(): Promise<RotateDocument> {
    const {argv, flags} = await this.parse(AgentRotate)
    const {rotate, rotateText} = await import('../../orders/rotate/rotate.ts')
    const order = {
      ...flags,
      vms: argv as string[],
      ...{notBefore: flags['not-before'], notAfter: flags['not-after'], agentKey: flags['agent-key']},
      timeoutMs: flags.timeout * 1000,
    }
    const inventory = await this.inventory(flags.inventory)
    const document = await rotate(order, inventory, {world: await this.world(), signal: this.interrupt.signal})
    if (flags.audit !== undefined)
      await this.audit(
        flags.audit,
        document.vms.map(({vm, state, detail}) => ({
          event: 'key',
          message: `${document.order.op} on ${vm} by ${document.by}: ${state}${detail === null ? '' : `: ${detail}`}`,
          fields: {vm, kid: document.by, ...document.order, state},
        })),
      )
    for (const line of rotateText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
