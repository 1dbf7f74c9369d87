import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {prefixFlag} from '../../cli/lab-flags.ts'
import type {VmMove} from '../../lab/vms.ts'

type LabMoveDocument = {readonly schema: 'gwswitch.lab-move/1'} & Pick<VmMove, 'vm' | 'from' | 'to'>

export default class LabMove extends BaseCommand {
  static override summary = 'move a VM of the lab to a site, as a live migration does'
  static override description =
    'Carrier, addresses, neighbours and open sockets of the VM stay; its port changes sites and its MAC is announced as QEMU does.'
  static override examples = ['sudo <%= config.bin %> <%= command.id %> db-03 --to y']
  static override args = {vm: Args.string({required: true, description: 'web-07 or db-03'})}
  static override flags = {
    prefix: prefixFlag(),
    to: Flags.option({options: ['x', 'y'] as const, required: true, summary: 'site to move it to'})(),
  }

  async run(): Promise<LabMoveDocument> {
    const {args, flags} = await this.parse(LabMove)
    const {moveVm} = await import('../../lab/vms.ts')
    const {vm, from, to, announced} = await moveVm(flags.prefix, args.vm, flags.to)
    await announced
    this.log(from === to ? `${vm} is at site ${to} already` : `${vm} moved from site ${from} to site ${to}`)
    return {schema: 'gwswitch.lab-move/1', vm, from, to}
  }
}
