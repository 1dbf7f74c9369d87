// What `init` answers: the draft, and the file that it was written as.
import {draftOf} from '../../domain/init/decide.ts'
import type {DraftChoices, DraftGateway, DraftSite, DraftVm} from '../../domain/init/draft.ts'
import type {Notebook} from '../../domain/init/notebook.ts'
import type {KnownPrefix} from '../../domain/init/prefixes.ts'
import {parseInventory} from '../../domain/inventory/inventory.ts'
import {Failure} from '../../errors.ts'
import {inventoryDraftText} from '../../render/inventory-draft.ts'
import {prefixText} from '../../wire/address.ts'

export interface InitDocument {
  readonly schema: 'gwswitch.init/1'
  /** ISO 8601. */
  readonly at: string
  readonly exitCode: 0
  /** As the user would write it. */
  readonly file: string
  /** False with --dry-run. */
  readonly written: boolean
  readonly interfaces: readonly string[]
  readonly listenedS: number
  readonly sites: readonly DraftSite[]
  readonly segments: readonly {
    readonly name: string
    readonly interface: string
    readonly prefix: string
    readonly prefixBy: 'given' | 'interface' | 'dhcp' | 'guess'
    readonly vlan: number | null
    readonly ports: readonly string[]
    readonly gateways: readonly DraftGateway[]
    readonly vms: readonly DraftVm[]
    readonly notes: readonly string[]
  }[]
  readonly notes: readonly string[]
  /** The inventory. */
  readonly text: string
}

export interface InitEnd {
  readonly book: Notebook
  readonly known: readonly KnownPrefix[]
  readonly choices: DraftChoices
  readonly interfaces: readonly string[]
  readonly listenedS: number
  readonly command: string
  readonly file: string
  readonly written: boolean
  readonly at: Date
}

/** @throws Failure `silent` where no gateway was seen: there is no inventory without one. */
export function initDocument({
  book,
  known,
  choices,
  interfaces,
  listenedS,
  command,
  file,
  written,
  at,
}: InitEnd): InitDocument {
  const draft = draftOf(book, known, choices)
  if (draft.segments.length === 0) {
    const heard = [...book.lans.values()].reduce(
      (sum, {stations}) => sum + [...stations.values()].filter(({self}) => !self).length,
      0,
    )
    const what =
      heard === 0
        ? 'nobody was heard (on a quiet segment give --prefix, whose addresses are then asked for)'
        : draft.notes.join('; ') || `${heard} stations were heard, and no gateway`
    throw new Failure(
      'silent',
      `nothing is written: in ${listenedS} s at ${interfaces.join(', ')} ${what}: try longer (--listen), or another interface`,
    )
  }
  const text = inventoryDraftText(draft, {command, at: at.toISOString(), listenedS})
  // A file that nobody can read is no beginning.
  parseInventory(text, file)
  return {
    ...{schema: 'gwswitch.init/1', at: at.toISOString(), exitCode: 0, file, written, interfaces, listenedS},
    ...{sites: draft.sites, notes: draft.notes, text},
    segments: draft.segments.map((segment) => ({...segment, prefix: prefixText(segment.prefix)})),
  }
}
