import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {whole} from '../../cli/flags.ts'
import {journalFlag, journalPlace} from '../../cli/journal-flags.ts'
import type {HistoryDocument} from '../../orders/history/history.ts'

export default class History extends BaseCommand {
  static override summary = 'what was switched on this host, by whom, and what came of it'
  static override description =
    'Reads the journal, newest last. Says on stderr what is half done, and how to go on. Changes nothing.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    {description: 'One VM', command: '<%= config.bin %> <%= command.id %> --vm db-03 --limit 5'},
    {
      description: 'What failed of late',
      command: `<%= config.bin %> <%= command.id %> --json | jq -r '.switches[] | select(.exitCode != 0) | .vm.name'`,
    },
    {
      description: 'One run whole: its steps, what happened in each, and the evidence',
      command: '<%= config.bin %> <%= command.id %> --run mkz1abcd',
    },
  ]
  static override flags = {
    vm: Flags.string({helpValue: 'VM', summary: 'of this VM alone, by its name or MAC'}),
    run: Flags.string({helpValue: 'RUN', summary: 'one run whole'}),
    limit: whole({default: 50, min: 1, max: 100_000, helpValue: 'N', summary: 'the last N'}),
    journal: journalFlag(),
  }

  async run(): Promise<HistoryDocument> {
    const {flags} = await this.parse(History)
    const [{readJournal}, {history}, {historyText, runText}] = await Promise.all([
      import('../../orders/journal/journal-file.ts'),
      import('../../orders/history/history.ts'),
      import('../../orders/history/history-text.ts'),
    ])
    const {vm, run, limit} = flags
    const document = await readJournal(await journalPlace(flags), (journal) => history(journal, {vm, run}, limit))
    for (const line of run === undefined ? historyText(document) : runText(document)) this.log(line)
    for (const line of document.halfDone) this.caution(line)
    return document
  }
}
