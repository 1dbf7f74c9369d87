import {fileFlag, HookCommand, neededKind, settingFlags} from '../../cli/hook-flags.ts'
import type {InstalledHook} from '../../orders/hook/run-hook.ts'

export default class HookPrint extends HookCommand {
  static override summary =
    'show the script that hook install writes, to read it or to hand it to configuration management'
  static override examples = [
    '<%= config.bin %> <%= command.id %> libvirt --site y',
    {
      description: 'Into a file of your own',
      command: '<%= config.bin %> <%= command.id %> proxmox --site y > gwswitch-hook',
    },
  ]
  static override args = {kind: neededKind}
  static override flags = {...settingFlags, file: fileFlag}

  async run(): Promise<InstalledHook> {
    const {args, flags} = await this.parse(HookPrint)
    const {printHook} = await import('../../orders/hook/run-hook.ts')
    const order = {kind: args.kind, file: flags.file, packaged: this.packaged, force: false, dryRun: true}
    const document = await printHook(order, await this.settings(args.kind, flags))
    this.page(document.text!)
    return document
  }
}
