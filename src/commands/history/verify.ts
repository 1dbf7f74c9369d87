import {BaseCommand} from '../../cli/base-command.ts'
import {journalFlag, journalPlace} from '../../cli/journal-flags.ts'
import type {VerifyDocument} from '../../orders/history/verify.ts'

export default class HistoryVerify extends BaseCommand {
  static override summary = 'whether the journal is as it was written: names the first record that is not'
  static override description =
    'Follows the chain of hashes from the oldest record to the last one. Whoever may write the file could write a whole new chain: keep the hash of the last record elsewhere to see that too.\n\nExit: 0 it is, 1 a record was changed or is missing.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json | jq -r .head.hash',
  ]
  static override flags = {journal: journalFlag()}

  async run(): Promise<VerifyDocument> {
    const {flags} = await this.parse(HistoryVerify)
    const [{readJournal}, {verifyJournal, verifyText}] = await Promise.all([
      import('../../orders/journal/journal-file.ts'),
      import('../../orders/history/verify.ts'),
    ])
    const document = await readJournal(await journalPlace(flags), verifyJournal)
    for (const line of verifyText(document)) this.log(line)
    process.exitCode = document.exitCode
    return document
  }
}
