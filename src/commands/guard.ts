import {Args} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {Failure} from '../errors.ts'
import {print} from '../net/process/say.ts'
import type {GuardOrder} from '../orders/switch/run-switch.ts'
import {loadStrategies} from '../strategies/registry.ts'

/** Started by `switch`, never by people: rolls a switch back if the process that began it dies before its end. */
export default class Guard extends BaseCommand {
  static override hidden = true
  static override summary = 'roll a switch back if the process that began it dies'
  static override args = {deadline: Args.integer({required: true, description: 'ms after which to act anyway'})}

  async run(): Promise<void> {
    const {args} = await this.parse(Guard)
    const {guardDuty} = await import('../net/process/dead-man.ts')
    const {guardEvent} = await import('../orders/switch/switch-audit.ts')
    const order = (await guardDuty(process.stdin, print, args.deadline)) as GuardOrder | undefined
    process.stdin.destroy()
    if (!order) return
    const found = (await loadStrategies(this.config)).get(order.strategy)
    if (!found) throw new Failure('runtime', `cannot roll back ${order.vm}: no strategy ${order.strategy} is installed`)
    const stage = {world: await this.world(), signal: new AbortController().signal, observe: () => {}}
    const strategy = await found.load()
    const verdict = await strategy.rollback(order.plan, stage).catch((error: Error) => error)
    const done = verdict instanceof Error ? {ok: false, evidence: [verdict.message]} : verdict
    const event = guardEvent(order.vm, order.strategy, done)
    if (order.audit !== undefined) await this.audit(order.audit, [event])
    if (verdict instanceof Error) throw verdict
    this.caution(event.message)
  }
}
