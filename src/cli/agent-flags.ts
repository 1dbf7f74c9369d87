// Flags of the agent's commands.
import {Flags} from '@oclif/core'

export const agentConfigFlag = Flags.custom<string>({
  char: 'c',
  default: '/etc/gwswitch/agent.yaml',
  env: 'GWSWITCH_AGENT_CONFIG',
  helpValue: 'FILE',
  summary: "the agent's configuration",
})

/** Where a controller keeps a record of what it ordered. */
export const auditFlag = Flags.custom<string>({
  env: 'GWSWITCH_AUDIT',
  helpValue: 'FILE',
  summary: 'append what was ordered, and what came of it, to this file: a JSON object a line',
})
