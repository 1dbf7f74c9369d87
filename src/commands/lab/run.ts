import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {whole} from '../../cli/flags.ts'
import {prefixFlag} from '../../cli/lab-flags.ts'
import type {LabRun as LabRunDocument, LabRunSample} from '../../domain/evaluation/lab-run.ts'

interface LabRunListDocument {
  readonly schema: 'gwswitch.lab-run-list/1'
  readonly rows: readonly {readonly id: string; readonly title: string; readonly how: string}[]
}

export default class LabRun extends BaseCommand {
  static override summary = 'live-migrate a real VM back and forth, and measure each way to move its gateway'
  static override description =
    'Builds a lab of its own with a guest that QEMU live-migrates between its sites (--vm qemu; netns: a namespace whose link is moved), and runs every row once in each round, the controls too, in an order of its own. ' +
    "Figures are from captures at the gateways, the ports of the VM and the users, by the kernel's timestamps, from QMP RESUME. " +
    'Needs root, tcpdump, and for qemu what docs/lab.md lists. Exit: 0 if all was run and counts, else 1.'
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %> --repeat 5 --report out',
    {
      description: 'One row and its control',
      command: 'sudo <%= config.bin %> <%= command.id %> --row arp.before-resume',
    },
    {description: 'What there is', command: '<%= config.bin %> <%= command.id %> --list'},
  ]
  static override flags = {
    prefix: prefixFlag('gwrun'),
    vm: Flags.option({
      default: 'qemu',
      options: ['qemu', 'netns'] as const,
      summary: 'a guest that is live-migrated, or a namespace whose link is moved',
    })(),
    repeat: whole({default: 5, helpValue: 'N', max: 1000, min: 1, summary: 'rounds'}),
    row: Flags.string({
      helpValue: 'ID',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'only this row and its control. Repeat for several',
    }),
    report: Flags.directory({
      helpValue: 'DIR',
      summary: 'keep the results there while it runs, go on with what is there, and write the report there at the end',
    }),
    seed: whole({default: 1, helpValue: 'N', max: 2 ** 31, min: 0, summary: 'of the order of rows in each round'}),
    list: Flags.boolean({summary: 'list the rows, and run nothing'}),
  }

  async run(): Promise<LabRunDocument | LabRunListDocument> {
    const {flags} = await this.parse(LabRun)
    const {rowsOf, runLab} = await import('../../lab/run/run.ts')
    if (flags.list) {
      const rows = rowsOf({vm: flags.vm, rows: flags.row}).map(({id, title, how}) => ({id, title, how}))
      for (const {id, how} of rows) this.log(`${id.padEnd(24)} ${how}`)
      return {schema: 'gwswitch.lab-run-list/1', rows}
    }
    const {vm, repeat, seed, prefix, row: ids, report: folder} = flags
    const order = {...{vm, repeat, seed, prefix, folder, version: this.config.version}, rows: ids}
    const begun = performance.now()
    let first: number | undefined
    const run = await runLab(
      order,
      {
        progress: (doing, done, of) => {
          first ??= done
          this.meter(
            `${done} of ${of} migrations, ${doing}${timeLeft(done - first, of - done, performance.now() - begun)}`,
          )
        },
        sample: (row, sample) => {
          this.meter('')
          this.log(sampleLine(row.id, sample))
          if (sample.said !== null) this.progress(`${row.id}: ${sample.said}`)
        },
        left: (id, why) => this.caution(`${id} is left: ${why}`),
      },
      this.interrupt.signal,
    )
    this.meter('')
    await this.show(run, folder)
    process.exitCode = run.exitCode
    return run
  }

  private async show(run: LabRunDocument, folder: string | undefined): Promise<void> {
    if (folder !== undefined) {
      const {writeReport} = await import('../../orders/evaluation/write-report.ts')
      for (const file of await writeReport(folder, run)) this.log(file)
      return
    }
    const {runText} = await import('../../render/evaluation/tables.ts')
    for (const line of runText(run, process.stdout.columns)) this.log(line)
  }
}

function timeLeft(done: number, todo: number, spentMs: number): string {
  if (done === 0) return ''
  const minutes = ((spentMs / done) * todo) / 60_000
  return minutes < 1 ? ', less than a minute left' : `, about ${Math.round(minutes)} min left`
}

const shown = (ms: number | null): string => (ms === null ? 'never' : `${ms.toFixed(0)} ms`)

function sampleLine(id: string, {round, from, to, ipv4, downtimeMs, tcp, void: why}: LabRunSample): string {
  if (why !== undefined) return `${id} ${round}: does not count: ${why}`
  const {toFirstMs, trombone, near, far} = ipv4
  return [
    `${id} ${round} (${from} to ${to}): new gateway ${shown(toFirstMs)}`,
    `trombone ${trombone}`,
    `down ${shown(downtimeMs)}`,
    `lost after ${near.lostAfter} and ${far.lostAfter}`,
    `gap ${shown(near.gapOutMs)}`,
    `TCP ${tcp.plain.end} ${shown(tcp.plain.gapMs)}, NAT ${tcp.nat === null ? '-' : `${tcp.nat.end} ${shown(tcp.nat.gapMs)}`}`,
  ].join(', ')
}
