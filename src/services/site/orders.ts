// What becomes of an order by the socket, and of news of a VM: who is meant, what is made of it, and the answer.
import {machineOf, neededSegment, type Vm} from '../../domain/inventory/site.ts'
import type {Offered} from '../../domain/movement/dispatch.ts'
import type {Movement, MovementKind} from '../../domain/movement/movement.ts'
import {hint} from '../../domain/suggest.ts'
import {EXIT, Failure} from '../../errors.ts'
import type {RunOrder} from '../../orders/journal/journal.ts'
import {worstOf} from '../../orders/switch/many-rows.ts'
import {answerOf, refusal, type SiteAnswer} from './control.ts'
import type {ControlOrder} from './control-line.ts'
import type {Dispatcher} from './dispatcher.ts'
import {gatewayFor, movedVms, type Served} from './served.ts'
import type {Standby} from './standby.ts'
import type {SwitchRecord} from './switch-one.ts'

/** Movements, by who told and what was made of them. */
export interface MovementCount {
  readonly source: string
  readonly kind: MovementKind
  readonly said: string
  readonly count: number
}

export interface OrdersStage {
  served(): Served
  readonly dispatcher: Dispatcher
  readonly standby: Standby
  /** The newest ones, oldest first. */
  history(): readonly SwitchRecord[]
  /** What is told of the service beside what is known here. */
  status(): Record<string, unknown>
  log(line: string, fields?: Record<string, unknown>): void
}

export interface SiteOrders {
  /** Of a line of the socket. */
  answer(order: ControlOrder): SiteAnswer | Promise<SiteAnswer>
  /** Of any other source. */
  moved(movement: Movement): void
  readonly counts: readonly MovementCount[]
}

/** Words by which something is under way, or need not be. */
const FINE: readonly string[] = ['begun', 'queued', 'under-way', 'here-already']
/** Unknown VMs that are said by name; the rest are counted: everybody's movements may be heard. */
const UNKNOWN_SAID = 100

export function siteOrders(stage: OrdersStage): SiteOrders {
  const {dispatcher, standby, log} = stage
  const counts = new Map<string, MovementCount>()
  const unknown = new Set<string>()

  function count(source: string, kind: MovementKind, said: string): void {
    const key = `${source} ${kind} ${said}`
    const known = counts.get(key)
    counts.set(key, {source, kind, said, count: (known?.count ?? 0) + 1})
  }

  const arrived = (vm: Vm, order: RunOrder, port: string | undefined): Offered => {
    const to = gatewayFor(stage.served(), vm)
    return dispatcher.offer({...order, vm, to: to.name, interfaceName: port}, 'arrival')
  }

  function move(kind: MovementKind, vm: Vm, order: RunOrder, port: string | undefined): string {
    if (kind === 'arrived') return arrived(vm, order, port)
    return dispatcher.gone(vm)
  }

  /**
   * The NICs of a line. `left`: those on segments that are not served. @throws Failure `usage` where the inventory does not
   * know it, or none of its segments is served.
   */
  function named(who: string): Named {
    const served = stage.served()
    const all = served.find(who)
    const vms = all.filter(({segment}) => served.gateways.has(segment))
    if (vms.length > 0) return {vms, left: all.filter((each) => !vms.includes(each))}
    if (all[0]) gatewayFor(served, all[0])
    const names = served.inventory.vms.map(({name}) => name)
    throw new Failure('usage', `${served.inventory.file}: no VM ${JSON.stringify(who.slice(0, 64))}${hint(who, names)}`)
  }

  /** The same of those that have a gateway of that name, where it is no site's. */
  function namedFor(who: string, to: string | undefined): Named {
    const {vms, left} = named(who)
    const has = ({segment}: Vm): boolean =>
      neededSegment(stage.served().inventory, segment).gateways.some(({name}) => name === to)
    const fits = vms.filter(has)
    return fits.length === 0 ? {vms, left} : {vms: fits, left: [...left, ...vms.filter((each) => !fits.includes(each))]}
  }

  const offered = (vm: Vm, said: string): SiteAnswer => {
    const waitMs = Math.ceil(dispatcher.waitMs(vm))
    const waits = said === 'too-soon' || said === 'backing-off' ? {waitMs} : {}
    return answerOf(said, {vm: vm.name, ...waits}, FINE.includes(said))
  }

  async function switched(vm: Vm, to: string | undefined, asked: string): Promise<SiteAnswer> {
    const wish = {by: 'socket' as const, asked, vm, to: to ?? gatewayFor(stage.served(), vm).name}
    const said = dispatcher.offer(wish, 'order')
    const ending = dispatcher.ending(vm)
    const record = FINE.includes(said) ? await ending : undefined
    return record === undefined ? offered(vm, FINE.includes(said) ? 'taken-back' : said) : endedAnswer(record)
  }

  function answer(order: ControlOrder): SiteAnswer | Promise<SiteAnswer> {
    switch (order.kind) {
      case 'status':
        return answerOf('status', {...stage.status(), movements: [...counts.values()]})
      case 'history':
        return answerOf('history', {switches: stage.history().slice(-order.last)})
      case 'reset':
        dispatcher.resetFuse()
        log('fuse: replaced, by an order on the control socket', {event: 'fuse', blown: false})
        return answerOf('reset', {fuse: dispatcher.fuse})
      case 'switch': {
        const {vms, left} = namedFor(order.who, order.to)
        const all = vms.map((vm) => switched(vm, order.to, textOf(order)))
        return Promise.all(all).then((answers) => together(answers, vms, left))
      }
      case 'expect': {
        const {vms, left} = named(order.who)
        const answers = vms.map((vm) => {
          dispatcher.expect(vm, order.forMs)
          standby.expect(vm)
          return answerOf('expected', {vm: vm.name, forMs: order.forMs})
        })
        return together(answers, vms, left)
      }
      default:
        return news(order)
    }
  }

  /** Of `arrived`, `left` and `cancelled`. */
  function news(order: Extract<ControlOrder, {kind: MovementKind}>): SiteAnswer {
    const port = order.kind === 'arrived' ? order.port : undefined
    try {
      const {vms, left} = named(order.who)
      if (port !== undefined && vms.length > 1)
        throw new Failure(
          'usage',
          `${order.who} has several NICs: name the one at ${port} (${vms.map(({name}) => name).join(', ')})`,
        )
      const answers = vms.map((vm) => {
        const said = move(order.kind, vm, {by: 'socket', asked: textOf(order)}, port)
        count('socket', order.kind, said)
        return order.kind === 'arrived' ? offered(vm, said) : answerOf(said, {vm: vm.name})
      })
      return together(answers, vms, left)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      count('socket', order.kind, 'unknown')
      return refusal(error, 'unknown')
    }
  }

  function unknownMoved({kind, source, vm, mac}: Movement): void {
    const who = vm ?? mac ?? ''
    count(source, kind, 'unknown')
    if (kind !== 'arrived' || unknown.has(who) || unknown.size >= UNKNOWN_SAID) return
    unknown.add(who)
    const fields = {event: 'unknown', source, who}
    log(`${source}: ${who} ${kind}: the inventory knows no such VM on a segment that is served`, fields)
  }

  return {
    answer: (order) => {
      try {
        return answer(order)
      } catch (error) {
        if (error instanceof Failure && error.kind === 'usage') return refusal(error, 'unknown')
        throw error
      }
    },
    moved(movement) {
      const {kind, source, port} = movement
      const served = stage.served()
      const vms = movedVms(served, movement).filter(({segment}) => served.gateways.has(segment))
      if (vms.length === 0) return unknownMoved(movement)
      const by = port === null && source !== 'fdb' ? 'event' : 'arrival'
      for (const vm of vms) {
        const asked = `${source}: ${vm.name} (${vm.mac}) ${kind}${port === null ? '' : ` at ${port}`}`
        const said = move(kind, vm, {by, asked}, port ?? undefined)
        count(source, kind, said)
        if (said !== 'nothing') log(`${asked}: ${said}`, {event: 'movement', source, vm: vm.name, kind, said})
      }
    },
    get counts() {
      return [...counts.values()]
    },
  }
}

/** NICs of one VM. */
interface Named {
  readonly vms: readonly Vm[]
  /** Those that the order is not about. */
  readonly left: readonly Vm[]
}

/** One answer for all NICs of a VM, with a row for each: as good as the worst of them. That of one NIC is its own. */
function together(answers: readonly SiteAnswer[], [vm]: readonly Vm[], left: readonly Vm[]): SiteAnswer {
  const [only, ...others] = answers
  if (only !== undefined && others.length === 0 && left.length === 0) return only
  const words = new Set(answers.map(({said}) => said))
  const ok = answers.every((each) => each.ok)
  const nics = [
    ...answers.map(({schema: _, ...row}) => row),
    ...left.map(({name, segment}) => ({vm: name, said: 'left-out', segment})),
  ]
  return {
    ...answerOf(words.size === 1 ? only!.said : 'several', {vm: machineOf(vm!), nics}, ok),
    exitCode: worstOf(answers, 0),
    error: answers.find(({error}) => error !== null)?.error ?? null,
  }
}

const textOf = (order: ControlOrder): string =>
  Object.values(order)
    .filter((word) => word !== undefined)
    .join(' ')

/** What a switch came to, with the fields of its document that matter. */
function endedAnswer(record: SwitchRecord): SiteAnswer {
  const {vm, from, to, strategy, outcome, end, code, before, uses, detail, ms, exitCode, error} = record
  const ok = exitCode === 0
  return {
    ...answerOf(end ?? outcome, {vm, from, to, strategy, end, code, before, uses, detail, ms}, ok),
    exitCode: ok ? 0 : exitCode || EXIT.runtime,
    error,
  }
}
