import {Args, Command} from '@oclif/core'
import {Help} from '@oclif/core/help'

export default class HelpCommand extends Command {
  static override summary = 'show what a command does, as --help does'
  static override examples = [
    '<%= config.bin %> <%= command.id %> switch',
    '<%= config.bin %> <%= command.id %> serve dhcp',
  ]
  static override strict = false
  static override args = {command: Args.string({description: 'the command, or the first word of several'})}

  async run(): Promise<void> {
    const {argv} = await this.parse(HelpCommand)
    const words = argv as string[]
    const id = words.join(':')
    if (id === '' || this.config.findCommand(id) || this.config.findTopic(id)) {
      await new Help(this.config, this.config.pjson.oclif.helpOptions).showHelp(words)
      return
    }
    await this.config.runHook('command_not_found', {id, argv: []})
  }
}
