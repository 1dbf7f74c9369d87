import {BaseCommand} from '../../cli/base-command.ts'
import {prefixFlag} from '../../cli/lab-flags.ts'

interface LabDownDocument {
  readonly schema: 'gwswitch.lab-down/1'
  readonly prefix: string
  /** Whether there was one. */
  readonly removed: boolean
}

export default class LabDown extends BaseCommand {
  static override summary = 'remove a lab with everything in it, also after a crash'
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %>',
    'sudo <%= config.bin %> <%= command.id %> --prefix metro',
  ]
  static override flags = {prefix: prefixFlag()}

  async run(): Promise<LabDownDocument> {
    const {flags} = await this.parse(LabDown)
    const {down} = await import('../../lab/lab.ts')
    const removed = await down(flags.prefix)
    this.log(removed ? `lab ${flags.prefix} is gone` : `there is no lab ${flags.prefix}`)
    return {schema: 'gwswitch.lab-down/1', prefix: flags.prefix, removed}
  }
}
