import {BaseCommand} from '../cli/base-command.ts'
import {Failure} from '../errors.ts'
import {print} from '../net/process/say.ts'
import type {World} from '../net/world.ts'
import type {GuardJournal} from '../orders/journal/guard-journal.ts'
import type {GuardOrder} from '../orders/switch/run-switch.ts'
import {loadStrategies, type Registered} from '../strategies/registry.ts'
import type {Stage, Verdict} from '../strategies/strategy.ts'

/** Started by `switch` and `serve site`, never by people: rolls switches back if the process that began them dies. */
export default class Guard extends BaseCommand {
  static override hidden = true
  static override summary = 'roll switches back if the process that began them dies'

  async run(): Promise<void> {
    await this.parse(Guard)
    const {guardDuty} = await import('../net/process/dead-man.ts')
    await guardDuty(process.stdin, print, async (orders) => {
      const {sharedWorld} = await import('../net/shared-world.ts')
      await using shared = sharedWorld(await this.world())
      const installed = await loadStrategies(this.config)
      await Promise.all((orders as GuardOrder[]).map((order) => this.takeBack(order, installed, shared.world)))
    })
  }

  private async takeBack(order: GuardOrder, installed: ReadonlyMap<string, Registered>, world: World): Promise<void> {
    const {guardEvent} = await import('../orders/switch/switch-audit.ts')
    const journal = order.journal && (await this.journalOf(order.journal))
    if (journal?.begins() === false) return
    const stage = {world, signal: new AbortController().signal, observe: () => {}}
    const verdict = await takenBack(order, installed.get(order.strategy), stage).catch((error: Error) => error)
    journal?.ended(verdict)
    const done = verdict instanceof Error ? {ok: false, evidence: [verdict.message]} : verdict
    const event = guardEvent(order.vm, order.strategy, done)
    if (order.audit !== undefined) await this.audit(order.audit, [event])
    this.caution(event.message)
  }

  /** What cannot be written there keeps nothing from being put back. */
  private async journalOf(place: NonNullable<GuardOrder['journal']>): Promise<GuardJournal | undefined> {
    const {openGuardJournal} = await import('../orders/journal/guard-journal.ts')
    return openGuardJournal(place, (error) => this.caution(error.message))
  }
}

async function takenBack({strategy, plan}: GuardOrder, found: Registered | undefined, stage: Stage): Promise<Verdict> {
  if (!found) throw new Failure('runtime', `no strategy ${strategy} is installed`)
  return (await found.load()).rollback(plan, stage)
}
