import {Flags} from '@oclif/core'
import {filterFlags, filterOrder, hookFlag} from '../../cli/filter-flags.ts'
import {decimal} from '../../cli/flags.ts'
import {ListCommand} from '../../cli/list-command.ts'
import type {Inventory} from '../../domain/inventory/inventory.ts'
import type {FilterDocument} from '../../orders/filter/filter-document.ts'
import type {WatchDocument} from '../../services/filter/watch.ts'
import {localStamp} from '../../wire/local-time.ts'

const {force: _, ...flags} = filterFlags

/** Defaults of --every and --hold, which go with other flags only. */
const EVERY_S = 5
const HOLD_S = 30

export default class FilterCheck extends ListCommand {
  static override summary = 'compare the filter on this host with what is meant, and show what it dropped'
  static override description =
    'With -i: give the flags that were given to apply. Without: all filters that were applied on this host, and those that the inventory has "ports" for. ' +
    'What is meant is loaded in a scratch network namespace and compared with what the kernel holds here, instruction by instruction: a listing that was loaded again looks the same in nft and lets tagged ARP through. ' +
    'What another tool flushed is missing; what stands without its filter (neighbour entries, places of MACs, neigh_suppress) is orphaned.\n\n' +
    'Exit: 0 as meant, 10 different, missing or orphaned.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> -i vx0 --segment tenant-b',
    '<%= config.bin %> <%= command.id %> --json | jq .counters',
    {
      description: 'Give way while the gateway of this site is dead',
      command: '<%= config.bin %> <%= command.id %> --watch --fail-open --site x',
    },
  ]
  static override flags = {
    ...flags,
    hook: hookFlag,
    watch: Flags.boolean({
      exclusive: ['interface', 'keep-inbound', 'inbound-moves', 'gateway-macs', 'observe', 'output'],
      summary: 'look at what was applied here again and again, and say what changes, until stopped',
    }),
    every: decimal({
      above: 0,
      dependsOn: ['watch'],
      helpValue: 'S',
      summary: 'seconds between two looks (default: 5)',
    }),
    'fail-open': Flags.boolean({
      dependsOn: ['watch', 'site'],
      summary: "lift the filter of a segment while the site's own gateway is dead",
    }),
    site: Flags.string({dependsOn: ['fail-open'], helpValue: 'SITE', summary: 'the site this host is at'}),
    hold: decimal({
      dependsOn: ['fail-open'],
      helpValue: 'S',
      min: 0,
      summary: 'seconds that a gateway has to answer before its filter is put back (default: 30)',
    }),
  }

  async run(): Promise<FilterDocument | WatchDocument> {
    const {flags} = await this.parse(FilterCheck)
    const inventory = await this.inventory(flags.inventory)
    if (flags.watch) return this.watch(flags, inventory)
    const [{runCheck}, {FILTER_COLUMNS, filterText}] = await Promise.all([
      import('../../orders/filter/run-filter.ts'),
      import('../../orders/filter/filter-text.ts'),
    ])
    const call = {
      ...{order: filterOrder({...flags, force: false}), hook: flags.hook, observeS: flags.observe},
      ...{world: await this.world(), signal: this.interrupt.signal},
    }
    const document = await runCheck(call, inventory)
    this.list(document.filters, FILTER_COLUMNS, () => filterText(document))
    process.exitCode = document.exitCode
    return document
  }

  private async watch(
    flags: {
      every?: number | undefined
      hold?: number | undefined
      site?: string | undefined
      segment?: string[] | undefined
      'fail-open': boolean
    },
    inventory: Inventory | undefined,
  ): Promise<WatchDocument> {
    const [{watchFilters}, {systemFilterWorld}, {neededInventory}] = await Promise.all([
      import('../../services/filter/watch.ts'),
      import('../../probe/filter/filter-world.ts'),
      import('../../domain/inventory/site.ts'),
    ])
    const open = flags['fail-open'] && {
      ...{site: flags.site!, inventory: neededInventory(inventory), holdMs: (flags.hold ?? HOLD_S) * 1000},
    }
    const request = {
      segments: flags.segment ?? [],
      everyMs: (flags.every ?? EVERY_S) * 1000,
      failOpen: open || undefined,
    }
    return watchFilters(request, {
      world: await this.world(),
      host: systemFilterWorld,
      signal: this.interrupt.signal,
      tell: ({at, text}) => this.log(`${localStamp(Date.parse(at))} ${text}`),
    })
  }
}
