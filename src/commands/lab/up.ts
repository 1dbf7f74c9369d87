import {BaseCommand} from '../../cli/base-command.ts'
import {labFlags, labOptionsOf} from '../../cli/lab-flags.ts'
import type {UpResult} from '../../lab/lab.ts'

interface LabUpDocument {
  readonly schema: 'gwswitch.lab-up/1'
  readonly prefix: string
  readonly result: UpResult
  readonly inventory: string
}

export default class LabUp extends BaseCommand {
  static override summary = 'bring up two sites with a stretched segment between them, in network namespaces'
  static override description =
    'Routers, bridges, a DCI and a WAN with a real delay, users and two VMs, all in namespaces of their own: nothing of this machine is touched. ' +
    'Needs root. Twice is once; after a crash it repairs.'
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %>',
    {
      description: 'A metro DCI beside it',
      command: 'sudo <%= config.bin %> <%= command.id %> --prefix metro --dci-delay 0.5',
    },
  ]
  static override flags = labFlags()

  async run(): Promise<LabUpDocument> {
    const {flags} = await this.parse(LabUp)
    const [{up}, {labFiles}] = await Promise.all([import('../../lab/lab.ts'), import('../../lab/state.ts')])
    const result = await up(labOptionsOf(flags), {log: (line) => this.progress(line), signal: this.interrupt.signal})
    const {inventory} = labFiles(flags.prefix)
    this.log(`lab ${flags.prefix} is up (${result}); its inventory is ${inventory}`)
    this.log(`see it, and how to run something in it: ${this.config.bin} lab status --prefix ${flags.prefix}`)
    return {schema: 'gwswitch.lab-up/1', prefix: flags.prefix, result, inventory}
  }
}
