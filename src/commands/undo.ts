import {Args} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {dryRunFlag, pcapFlag} from '../cli/flags.ts'
import {asked, journalFlag, journalPlace} from '../cli/journal-flags.ts'
import type {JournalEntry} from '../orders/journal/entry.ts'
import type {JournalFile} from '../orders/journal/journal-file.ts'
import type {UndoDocument} from '../orders/undo/run-undo.ts'
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
  static override flags = {journal: journalFlag(), 'dry-run': dryRunFlag, pcap: pcapFlag}

  async run(): Promise<UndoDocument> {
    const {args, flags} = await this.parse(Undo)
    const [{chosen}, {openJournal, readJournal}, {undoPlan}, {undoText}] = await Promise.all([
      import('../orders/journal/choose.ts'),
      import('../orders/journal/journal-file.ts'),
      import('../orders/undo/run-undo.ts'),
      import('../orders/undo/undo-text.ts'),
    ])
    const file = await journalPlace(flags)
    const strategies = await loadStrategies(this.config)
    const {entries, planned} = await readJournal(file, (journal) => {
      const entries = chosen(journal, args.what)
      return {entries, planned: undoPlan(entries, journal, strategies)}
    })
    const isPlan = flags['dry-run'] || planned.switches.every(({outcome}) => outcome === 'refused')
    const document = isPlan ? planned : await this.undone(entries, await openJournal(file), strategies, flags.pcap)
    for (const line of undoText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }

  private async undone(
    entries: readonly JournalEntry[],
    journal: JournalFile,
    strategies: ReadonlyMap<string, Registered>,
    pcap: string | undefined,
  ): Promise<UndoDocument> {
    const [{undoSwitches}, {startGuard}] = await Promise.all([
      import('../orders/undo/run-undo.ts'),
      import('../net/process/dead-man.ts'),
    ])
    const guard = startGuard()
    try {
      return await undoSwitches(entries, {
        ...{journal, strategies, asked: asked(), signal: this.interrupt.signal, world: await this.world(pcap)},
        deadMan: () => guard.deadMan(GUARD_MS),
        onTrouble: (error) => this.caution(error.message),
        onEvent: ({atMs, text}) => this.meter(`${atMs.toFixed(0)} ms: ${text}`),
      })
    } finally {
      this.meter('')
      guard.close()
      journal.close()
    }
  }
}
