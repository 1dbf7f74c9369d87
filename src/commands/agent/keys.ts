import {agentConfigFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import type {KeysDocument} from '../../services/agent/keys-report.ts'

export default class AgentKeys extends BaseCommand {
  static override summary = 'show the keys that this VM obeys: where each is from, what it may choose, and until when'
  static override description = 'Reads the files of the agent; the agent need not run.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']
  static override flags = {config: agentConfigFlag()}

  async run(): Promise<KeysDocument> {
    const {flags} = await this.parse(AgentKeys)
    const [{readAgentConfig}, {keysDocument, keysText}] = await Promise.all([
      import('../../services/agent/config-file.ts'),
      import('../../services/agent/keys-report.ts'),
    ])
    const document = keysDocument(readAgentConfig(flags.config))
    this.page(keysText(document).join('\n'))
    return document
  }
}
