// What the `hook` commands share: which platform, where the script lies, and what is written into it.
import {join, resolve} from 'node:path'
import {Args, Flags} from '@oclif/core'
import type {Inventory} from '../domain/inventory/site.ts'
import {SITE_SOCKET} from '../domain/movement/site-socket.ts'
import {ownCommand} from '../net/process/program.ts'
import type {HookSettings} from '../orders/hook/hook-text.ts'
import type {HookKind} from '../orders/hook/kinds.ts'
import {BaseCommand} from './base-command.ts'

const KINDS: readonly HookKind[] = ['libvirt', 'proxmox', 'xcp-ng', 'ovirt', 'generic']

const kindArg = Args.custom<HookKind>({description: 'the platform that calls it', options: KINDS})
export const neededKind = kindArg({required: true})
export const anyKind = kindArg({description: 'the platform that calls it (default: all)'})

export const fileFlag = Flags.string({helpValue: 'FILE', summary: "where it lies (default: the platform's own place)"})

export const settingFlags = {
  site: Flags.string({helpValue: 'SITE', required: true, summary: 'the site that this host is at'}),
  socket: Flags.string({
    default: SITE_SOCKET,
    helpValue: 'PATH',
    summary: 'control socket of gwswitch serve site',
  }),
  connect: Flags.string({
    default: 'qemu:///system',
    helpValue: 'URI',
    summary: "libvirt's connection URI (libvirt)",
  }),
}

interface SettingWords {
  readonly site: string
  readonly socket: string
  readonly connect: string
  readonly inventory: string | undefined
}

/** Of the scripts that gwswitch comes with; `root`: the folder that it lies in. */
export const packagedHooks = (root: string): string => join(root, 'packaging/hooks')

export abstract class HookCommand extends BaseCommand {
  protected get packaged(): string {
    return packagedHooks(this.config.root)
  }

  /** Checked against the inventory, where there is one here. */
  protected async settings(kind: HookKind, flags: SettingWords): Promise<HookSettings> {
    const {checkSettings} = await import('../orders/hook/run-hook.ts')
    const inventory: Inventory | undefined = await this.inventory(flags.inventory)
    if (!inventory) this.caution(`no inventory is here: whether it knows site ${flags.site} is not checked`)
    return checkSettings(
      {
        site: flags.site,
        socket: flags.socket,
        // The hook is called in another folder.
        inventory: inventory === undefined ? null : resolve(inventory.file),
        connect: kind === 'libvirt' ? flags.connect : null,
        program: ownCommand(),
      },
      inventory,
    )
  }
}
