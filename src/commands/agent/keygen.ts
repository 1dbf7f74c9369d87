import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {say} from '../../net/process/say.ts'
import type {MadeKey} from '../../services/agent/enroll.ts'

export default class AgentKeygen extends BaseCommand {
  static override summary = 'make an Ed25519 key: for an agent, or for a site that gives orders'
  static override description = 'A key that is there already is kept, and its public half is printed again.'
  static override examples = [
    {description: "The VM's own, /etc/gwswitch/agent.key", command: '<%= config.bin %> <%= command.id %>'},
    {
      description: "A site's, on its controller or hook host",
      command: '<%= config.bin %> <%= command.id %> --out /etc/gwswitch/site-y.key',
    },
  ]
  static override flags = {
    out: Flags.string({
      char: 'o',
      default: '/etc/gwswitch/agent.key',
      helpValue: 'FILE',
      summary: 'private key file, PEM, mode 0600',
    }),
    force: Flags.boolean({
      summary: 'replace a key that is there: nobody who knows the old one is obeyed or believed any more',
    }),
  }

  async run(): Promise<MadeKey> {
    const {flags} = await this.parse(AgentKeygen)
    const {makeKey} = await import('../../services/agent/enroll.ts')
    const made = makeKey(flags.out, flags.force)
    say(`${made.created ? 'made' : 'kept'} ${made.file}, fingerprint ${made.fingerprint}; its public half:`)
    this.log(made.publicKey)
    return made
  }
}
