import {BaseCommand} from '../../cli/base-command.ts'
import {labFlags} from '../../cli/lab-flags.ts'
import type {DemoResult} from '../../lab/demo.ts'

type DemoDocument = {readonly schema: 'gwswitch.lab-demo/1'; readonly exitCode: number} & DemoResult

export default class LabDemo extends BaseCommand {
  static override summary = 'show the main job on real packets: a trombone found, the gateway switched, and proof'
  static override description =
    'Builds a lab of its own, moves a VM from site X to site Y, traces, switches, traces again, and removes everything. ' +
    'Needs root. Exit: 0 only if every step was as it should be, else 1.'
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %>',
    'sudo <%= config.bin %> <%= command.id %> --dci-delay 5 --dci plain',
  ]
  static override flags = labFlags('gwdemo')

  async run(): Promise<DemoDocument> {
    const {flags} = await this.parse(LabDemo)
    const [{runDemo}, {demoSummary}, {paintWith}, {demoNarrator}, {labOptionsOf}] = await Promise.all([
      import('../../lab/demo.ts'),
      import('../../lab/demo-text.ts'),
      import('../../render/paint.ts'),
      import('../../lab/demo-narrator.ts'),
      import('../../cli/lab-flags.ts'),
    ])
    const paint = paintWith(this.colour)
    const narrator = demoNarrator({
      log: (line) => this.log(line),
      meter: (text) => this.meter(text),
      paint,
      colour: this.colour,
    })
    const result = await runDemo(labOptionsOf(flags), narrator, await this.world(), this.interrupt.signal)
    for (const line of demoSummary(result, paint)) this.log(line)
    const exitCode = result.checks.every(({ok}) => ok) ? 0 : 1
    process.exitCode = exitCode
    return {schema: 'gwswitch.lab-demo/1', ...result, exitCode}
  }
}
