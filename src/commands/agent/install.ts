import {hostname} from 'node:os'
import {join} from 'node:path'
import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {dryRunFlag} from '../../cli/flags.ts'
import {isExecutable} from '../../net/process/program.ts'
import type {InstallDocument} from '../../services/agent/install.ts'
import {isAgentId} from '../../wire/agent-message.ts'

export default class AgentInstall extends BaseCommand {
  static override summary =
    'write what the agent needs as a service: its unit, a configuration to fill, its key, its folder'
  static override description =
    'What is there already stays as it is. Afterwards: "gwswitch agent enroll", then "systemctl enable --now gwswitch-agent".'
  static override examples = [
    {description: 'In the VM, as root', command: '<%= config.bin %> <%= command.id %>'},
    {description: 'Into an image', command: '<%= config.bin %> <%= command.id %> --root /mnt/image --vm web-07'},
  ]
  static override flags = {
    vm: Flags.string({helpValue: 'ID', summary: "this VM's id, in a new configuration (default: its host name)"}),
    root: Flags.string({default: '/', helpValue: 'DIR', summary: 'folder that stands for /'}),
    force: Flags.boolean({summary: 'replace a unit that is another one'}),
    'dry-run': dryRunFlag,
  }

  async run(): Promise<InstallDocument> {
    const {flags} = await this.parse(AgentInstall)
    const {installAgent, installText} = await import('../../services/agent/install.ts')
    const name = flags.vm ?? hostname()
    const document = installAgent({
      ...{root: flags.root, vm: isAgentId(name) ? name : 'vm', force: flags.force, dryRun: flags['dry-run']},
      unit: join(this.config.root, 'packaging/gwswitch-agent.service'),
      program: isExecutable ? [process.execPath] : [process.execPath, join(this.config.root, 'bin/run.js')],
    })
    for (const warning of document.warnings) this.caution(warning)
    for (const line of installText(document)) this.log(line)
    return document
  }
}
