import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {prefixFlag} from '../../cli/lab-flags.ts'
import type {ScenarioRun} from '../../lab/scenario.ts'

interface ScenarioDocument {
  readonly schema: 'gwswitch.lab-scenario/1'
  readonly scenarios: readonly {readonly file: string; readonly title: string; readonly runs: readonly ScenarioRun[]}[]
  readonly exitCode: 0 | 1
}

export default class LabScenario extends BaseCommand {
  static override summary = 'stage situations that are written down in files, and see whether trace says what it must'
  static override description =
    'Each file has wires, set-up, what happens meanwhile, and the verdict that is right (docs/lab.md); each gets a lab of its own, which is gone afterwards. ' +
    'Needs root. Exit: 0 if all of it was as it must be, else 1.'
  static override examples = [
    'sudo <%= config.bin %> <%= command.id %> detour.yaml',
    'sudo <%= config.bin %> <%= command.id %> scenarios/*.yaml --json',
  ]
  static override strict = false
  static override args = {file: Args.string({required: true, description: 'scenario; several may be given'})}
  static override flags = {prefix: prefixFlag('gwscen')}

  async run(): Promise<ScenarioDocument> {
    const {argv, flags} = await this.parse(LabScenario)
    const [{parseScenario}, {runScenario}, {readNamed}, {runLine}] = await Promise.all([
      import('../../lab/scenario-file.ts'),
      import('../../lab/scenario.ts'),
      import('../../net/file/text-file.ts'),
      import('../../lab/scenario-text.ts'),
    ])
    const files = argv as string[]
    const parsed = files.map((file) => ({file, scenario: parseScenario(readNamed(file, 'a scenario'), file)}))
    const scenarios = []
    for (const {file, scenario} of parsed) {
      this.meter(`${file}: ${scenario.title}`)
      const runs = await runScenario(scenario, {
        prefix: flags.prefix,
        signal: this.interrupt.signal,
        onRun: (run) => {
          this.meter('')
          this.log(runLine(file, run))
        },
      })
      scenarios.push({file, title: scenario.title, runs})
    }
    const right = scenarios.every(({runs}) => runs.every(({wrong}) => wrong.length === 0))
    const exitCode = right && !this.interrupt.signal.aborted ? 0 : 1
    process.exitCode = exitCode
    return {schema: 'gwswitch.lab-scenario/1', scenarios, exitCode}
  }
}
