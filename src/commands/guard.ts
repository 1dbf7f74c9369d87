import {Args} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {Failure} from '../errors.ts'
import {print} from '../net/process/say.ts'
import {loadStrategies} from '../strategies/registry.ts'

/** Started by `switch`, never by people: rolls a switch back if the process that began it dies before its end. */
export default class Guard extends BaseCommand {
  static override hidden = true
  static override summary = 'roll a switch back if the process that began it dies'
  static override args = {deadline: Args.integer({required: true, description: 'ms after which to act anyway'})}

  async run(): Promise<void> {
    const {args} = await this.parse(Guard)
    const {guardDuty} = await import('../net/process/dead-man.ts')
    const order = (await guardDuty(process.stdin, print, args.deadline)) as
      | {strategy: string; plan: unknown; vm: string}
      | undefined
    process.stdin.destroy()
    if (!order) return
    const found = (await loadStrategies(this.config)).get(order.strategy)
    if (!found) throw new Failure('runtime', `cannot roll back ${order.vm}: no strategy ${order.strategy} is installed`)
    const stage = {world: await this.world(), signal: new AbortController().signal, observe: () => {}}
    const {ok, evidence} = await (await found.load()).rollback(order.plan, stage)
    this.caution(
      `the switch of ${order.vm} was cut short; ${ok ? 'rolled back' : 'whether it is as it was is not known'}: ${evidence.join('; ')}`,
    )
  }
}
