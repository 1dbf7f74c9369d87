import {Flags} from '@oclif/core'
import {agentConfigFlag} from '../../cli/agent-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {sayLogged} from '../../net/process/say.ts'

interface AgentDocument {
  readonly schema: 'gwswitch.agent/1'
  readonly answers?: readonly unknown[]
  readonly exitCode: number
}

export default class Agent extends BaseCommand {
  static override summary = 'run in a VM: change its default gateway on signed commands, prove it, or take it back'
  static override description =
    'Runs until it is stopped. With --once it acts on the signed messages on standard input, prints its signed answers, ' +
    'and ends when they are decided: for the QEMU guest agent (guest-exec).\n\n' +
    'Exit with --once: 0 confirmed, 3 rolled back, 4 refused, 5 no valid message, or not decided in time.'
  static override examples = [
    {description: 'Run, with /etc/gwswitch/agent.yaml', command: '<%= config.bin %> <%= command.id %>'},
    {description: 'Act on one message', command: '<%= config.bin %> <%= command.id %> --once < message.jws'},
  ]
  static override flags = {
    config: agentConfigFlag(),
    once: Flags.boolean({summary: 'act on the messages on standard input, then end'}),
  }

  async run(): Promise<AgentDocument> {
    const {flags} = await this.parse(Agent)
    const {readAgentConfig} = await import('../../services/agent/config-file.ts')
    const config = readAgentConfig(flags.config)
    const log = (line: string): void => sayLogged(`gwswitch agent: ${line}`)
    if (!flags.once) {
      const {becomeAgent} = await import('../../services/agent/become.ts')
      const end = () => (this.stoppedBy === 'SIGTERM' ? 'leave' : 'undo')
      await becomeAgent({config, signal: this.interrupt.signal, end, log})
      return {schema: 'gwswitch.agent/1', exitCode: 0}
    }
    const {onceExit, runOnce} = await import('../../services/agent/once.ts')
    const {answers} = await runOnce({config, signal: this.interrupt.signal, log}, process.stdin, (token) =>
      this.log(token),
    )
    const exitCode = onceExit(answers.map(({answer}) => answer))
    process.exitCode = exitCode
    return {schema: 'gwswitch.agent/1', answers: answers.map(({answer}) => answer), exitCode}
  }
}
