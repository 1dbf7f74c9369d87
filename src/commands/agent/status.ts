import {agentConfigFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import type {AgentStatus} from '../../services/agent/status.ts'

export default class AgentStatusCommand extends BaseCommand {
  static override summary = "tell the agent's state: gateways in use, the last switch, what is pending"
  static override description = 'Reads the files of the agent and the kernel; the agent need not run.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']
  static override flags = {config: agentConfigFlag()}

  async run(): Promise<AgentStatus> {
    const {flags} = await this.parse(AgentStatusCommand)
    const [{readAgentConfig}, {readAgentKey}, {systemKernel}, {agentStatus, statusText}] = await Promise.all([
      import('../../services/agent/config-file.ts'),
      import('../../services/agent/run-agent.ts'),
      import('../../services/agent/kernel.ts'),
      import('../../services/agent/status.ts'),
    ])
    const config = readAgentConfig(flags.config)
    const status = await agentStatus(
      config,
      readAgentKey(config),
      systemKernel((line) => this.progress(line)),
    )
    for (const warning of status.warnings) this.caution(warning)
    for (const line of statusText(status)) this.log(line)
    return status
  }
}
