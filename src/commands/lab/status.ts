import {BaseCommand} from '../../cli/base-command.ts'
import {prefixFlag} from '../../cli/lab-flags.ts'
import type {LabStatus} from '../../lab/status.ts'

type LabStatusDocument = {readonly schema: 'gwswitch.lab-status/1'} & LabStatus

export default class LabStatusCommand extends BaseCommand {
  static override summary = 'show a lab: its topology, where each VM is, and how to run something in it'
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %>',
    'sudo <%= config.bin %> <%= command.id %> --json',
  ]
  static override flags = {prefix: prefixFlag()}

  async run(): Promise<LabStatusDocument> {
    const {flags} = await this.parse(LabStatusCommand)
    const {status, statusText} = await import('../../lab/status.ts')
    const found = await status(flags.prefix)
    this.page(statusText(found, this.invocation))
    process.exitCode = found.state === 'up' ? 0 : 1
    return {schema: 'gwswitch.lab-status/1', ...found}
  }
}
