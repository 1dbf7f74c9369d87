import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'

interface LabReportDocument {
  readonly schema: 'gwswitch.lab-report/1'
  /** What was written. */
  readonly files: readonly string[]
  /** Rows of the run, and its migrations that count. */
  readonly rows: number
  readonly migrations: number
}

export default class LabReport extends BaseCommand {
  static override summary = 'the report of a run that was kept: tables, and a page with charts'
  static override description =
    'Reads the lab-run.json that `lab run` wrote and prints its tables: medians with ranges, how far each row is from its control, and what the repetitions can and cannot tell apart. ' +
    'With --report it writes lab-run.json, table.txt, table.md, figure.svg and report.html into a folder. Nothing is measured, and no root is needed.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> out/lab-run.json',
    {
      description: 'The page, in a folder of its own',
      command: '<%= config.bin %> <%= command.id %> out/lab-run.json --report again',
    },
  ]
  static override args = {file: Args.string({required: true, description: 'lab-run.json of a run'})}
  static override flags = {
    report: Flags.directory({
      helpValue: 'DIR',
      summary: 'write the report there; what is there of that name is replaced',
    }),
  }

  async run(): Promise<LabReportDocument> {
    const {args, flags} = await this.parse(LabReport)
    const [{readRun}, {writeReport}, {counted}, {runText}] = await Promise.all([
      import('../../orders/evaluation/run-shape.ts'),
      import('../../orders/evaluation/write-report.ts'),
      import('../../domain/evaluation/figures.ts'),
      import('../../render/evaluation/tables.ts'),
    ])
    const run = readRun(args.file)
    const files = flags.report === undefined ? [] : await writeReport(flags.report, run)
    if (flags.report === undefined) for (const line of runText(run, process.stdout.columns)) this.log(line)
    else for (const file of files) this.log(file)
    const migrations = run.rows.reduce((sum, row) => sum + counted(row).length, 0)
    return {schema: 'gwswitch.lab-report/1', files, rows: run.rows.length, migrations}
  }
}
