// The flags of commands that write systemd units.
import {Flags} from '@oclif/core'

export const installFlags = {
  directory: Flags.string({default: '/etc/systemd/system', helpValue: 'DIR', summary: 'where units lie'}),
  print: Flags.boolean({default: false, summary: 'show them, and write nothing'}),
}
