// Flags of the agent's commands.
import {Flags} from '@oclif/core'

export const agentConfigFlag = Flags.custom<string>({
  char: 'c',
  default: '/etc/gwswitch/agent.yaml',
  env: 'GWSWITCH_AGENT_CONFIG',
  helpValue: 'FILE',
  summary: "the agent's configuration",
})
