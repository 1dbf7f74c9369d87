import {agentConfigFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {EXIT} from '../../errors.ts'
import type {AgentReset} from '../../services/agent/reset.ts'

export default class AgentResetCommand extends BaseCommand {
  static override summary = 'take everything of the agent away: rules, tables, a drain, a switch that is not decided'
  static override description =
    'Works whether the agent runs or not, and in every state that it may be in. A default route that a confirmed switch ' +
    "has rewritten (mode replace) is the VM's own and stays; a VM that has nothing but the agent's route keeps that. " +
    'Commands that were used up stay used up.\n\nExit: 0 nothing of gwswitch is left; 1 something is, and it is said what.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']
  static override flags = {config: agentConfigFlag()}

  async run(): Promise<AgentReset> {
    const {flags} = await this.parse(AgentResetCommand)
    const [{readAgentConfig}, {systemKernel}, {resetAgent, resetText}] = await Promise.all([
      import('../../services/agent/config-file.ts'),
      import('../../services/agent/kernel.ts'),
      import('../../services/agent/reset.ts'),
    ])
    const kernel = systemKernel((line) => this.progress(line))
    const result = await resetAgent(readAgentConfig(flags.config), kernel)
    for (const line of resetText(result)) this.log(line)
    if (result.left !== null) process.exitCode = EXIT.runtime
    return result
  }
}
