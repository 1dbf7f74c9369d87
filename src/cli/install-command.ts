// A command that writes the systemd units for what is recorded on this host.
import {Flags} from '@oclif/core'
import type {Recorded} from '../domain/units.ts'
import {ownCommand} from '../net/process/program.ts'
import type {InstallDocument} from '../orders/units/install.ts'
import {BaseCommand} from './base-command.ts'

export abstract class InstallCommand extends BaseCommand {
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    {description: 'See the units', command: '<%= config.bin %> <%= command.id %> --print'},
  ]
  static override flags = {
    directory: Flags.string({default: '/etc/systemd/system', helpValue: 'DIR', summary: 'where units lie'}),
    print: Flags.boolean({default: false, summary: 'show them, and write nothing'}),
  }

  protected abstract recorded(): Promise<Recorded>

  async run(): Promise<InstallDocument> {
    const {flags} = await this.parse(InstallCommand)
    const {installText, installUnits} = await import('../orders/units/install.ts')
    const document = installUnits(await this.recorded(), ownCommand(), {
      directory: flags.directory,
      dryRun: flags.print,
    })
    for (const line of installText(document)) this.log(line)
    return document
  }
}
