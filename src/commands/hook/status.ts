import {anyKind, fileFlag, packagedHooks} from '../../cli/hook-flags.ts'
import {ListCommand} from '../../cli/list-command.ts'
import {usage} from '../../errors.ts'
import type {HookStatus} from '../../orders/hook/run-hook.ts'

export default class HookStatusCommand extends ListCommand {
  static override summary = 'say which hooks are installed, whether they are as written, and who answers them'
  static override description =
    'Exit: 0 as it is meant, 10 not installed, changed, of another version, or not executable.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> libvirt --json',
  ]
  static override args = {kind: anyKind}
  static override flags = {file: fileFlag}

  async run(): Promise<HookStatus> {
    const {args, flags} = await this.parse(HookStatusCommand)
    if (flags.file !== undefined && args.kind === undefined) throw usage('--file is of one kind: which?')
    const {hookStatus} = await import('../../orders/hook/run-hook.ts')
    const {HOOK_COLUMNS, statusLines} = await import('../../orders/hook/hook-lines.ts')
    const document = await hookStatus(args.kind, {file: flags.file, packaged: packagedHooks(this.config.root)})
    this.list(document.hooks, HOOK_COLUMNS, () => statusLines(document))
    process.exitCode = document.exitCode
    return document
  }
}
