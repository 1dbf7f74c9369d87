import {Flags} from '@oclif/core'
import {agentConfigFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag} from '../../cli/flags.ts'
import {say} from '../../net/process/say.ts'
import type {Enrolled} from '../../services/agent/enroll.ts'

export default class AgentEnroll extends BaseCommand {
  static override summary = 'trust a key: who may give this VM which gateways'
  static override description =
    "Adds the key to the agent's configuration, which is made if there is none; comments in it stay. " +
    'The agent reads it when it starts: restart it afterwards.'
  static override examples = [
    {
      description: 'The key of site y may choose the gateway of site y',
      command:
        '<%= config.bin %> <%= command.id %> --vm web-07 --kid site-y --key 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo --gateway 10.0.0.2 --probe 203.0.113.10',
    },
  ]
  static override flags = {
    config: agentConfigFlag(),
    vm: Flags.string({helpValue: 'ID', summary: "this VM's id, in a new configuration"}),
    kid: Flags.string({helpValue: 'ID', required: true, summary: 'name of the key'}),
    key: Flags.string({helpValue: 'KEY|FILE', required: true, summary: 'its public half, or a file with it'}),
    gateway: Flags.string({
      helpValue: 'IP',
      multiple: true,
      multipleNonGreedy: true,
      required: true,
      summary: 'gateway that it may choose; repeat for more',
    }),
    probe: Flags.string({
      default: [],
      helpValue: 'IP',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'address beyond the gateways that answers echoes; replaces those there',
    }),
    bind: Flags.boolean({summary: "tie the configuration to this VM's DMI UUID: a clone refuses"}),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<Enrolled> {
    const {flags} = await this.parse(AgentEnroll)
    const {dmiUuidToBind, enroll} = await import('../../services/agent/enroll.ts')
    const dmiUuid = flags.bind ? dmiUuidToBind() : undefined
    const order = {
      file: flags.config,
      vm: flags.vm,
      kid: flags.kid,
      key: flags.key,
      gateways: flags.gateway,
      probes: flags.probe,
    }
    const enrolled = enroll({...order, dmiUuid, dryRun: flags['dry-run']})
    say(
      `${flags['dry-run'] ? 'would write' : 'wrote'} ${enrolled.file}: ${enrolled.vm} trusts ${enrolled.kid} (${enrolled.fingerprint})`,
    )
    this.page(enrolled.text)
    return enrolled
  }
}
