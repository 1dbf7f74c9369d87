import {Args} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, pcapFlag} from '../cli/flags.ts'
import {asked, type JournalChoice, journalFlags, journalPlace, openedJournal} from '../cli/journal-flags.ts'
import type {UndoDocument, UndoStep} from '../orders/undo/run-undo.ts'
import {loadStrategies, type Registered} from '../strategies/registry.ts'

/** Longer than any rollback takes. */
const GUARD_MS = 60_000

export default class Undo extends BaseCommand {
  static override summary = 'take a switch back that the journal knows: to what the VM was seen to use before it'
  static override description =
    'Also one that was cut short. Needs no inventory: the journal has the plan, with what was observed. The network is asked whether the VM is as it was; it may be run twice. ' +
    'A VM that a later run moved is left alone, and that run is named.\n\n' +
    'Exit: 0 the VM is as it was, 2 refused: nothing was done, 7 whether it is as it was is not known.'
  static override examples = [
    {description: 'The last switch of a VM', command: '<%= config.bin %> <%= command.id %> db-03'},
    {
      description: 'Everything that a run did, seen first',
      command: '<%= config.bin %> <%= command.id %> mkz1abcd --dry-run',
    },
  ]
  static override args = {
    what: Args.string({
      required: true,
      description: 'a run of "gwswitch history", one switch of it (RUN.N), or a VM by its name or MAC: its last switch',
    }),
  }
  static override flags = {...journalFlags, 'dry-run': dryRunFlag, pcap: pcapFlag}

  async run(): Promise<UndoDocument> {
    const {args, flags} = await this.parse(Undo)
    const [{chosen}, {readJournal}, {plannedUndo, undoPlan}, {undoText}] = await Promise.all([
      import('../orders/journal/choose.ts'),
      import('../orders/journal/journal-file.ts'),
      import('../orders/undo/run-undo.ts'),
      import('../orders/undo/undo-text.ts'),
    ])
    const file = await journalPlace(flags)
    const strategies = await loadStrategies(this.config)
    const steps = await readJournal(file, (journal) => undoPlan(chosen(journal, args.what), journal, strategies))
    const isRefused = steps.every(({row}) => row.outcome === 'refused')
    const document = flags['dry-run'] || isRefused ? plannedUndo(steps) : await this.undone(steps, flags, strategies)
    await this.prose(undoText(document))
    process.exitCode = document.exitCode
    return document
  }

  private async undone(
    steps: readonly UndoStep[],
    flags: JournalChoice & {readonly pcap?: string | undefined},
    strategies: ReadonlyMap<string, Registered>,
  ): Promise<UndoDocument> {
    const [{undoSwitches}, {startGuard}] = await Promise.all([
      import('../orders/undo/run-undo.ts'),
      import('../net/process/dead-man.ts'),
    ])
    const journal = await openedJournal(flags, () => {})
    const guard = startGuard()
    try {
      return await undoSwitches(steps, {
        ...{journal, strategies, asked: asked(), signal: this.interrupt.signal, world: await this.world(flags.pcap)},
        deadMan: () => guard.deadMan(GUARD_MS),
        onTrouble: (error) => this.caution(error.message),
        onEvent: ({atMs, text}) => this.meter(`${atMs.toFixed(0)} ms: ${text}`),
      })
    } finally {
      this.meter('')
      guard.close()
      journal?.close()
    }
  }
}
