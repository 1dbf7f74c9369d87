// Takes a switch back: the server says what it said before, and a VM that took the new router is made to ask again.

import {forwards, isDead, type NamedGateway} from '../../domain/proof/gateway.ts'
import {ackText} from '../../domain/proof/lease.ts'
import {judgeAfter, type Proof} from '../../domain/proof/proof.ts'
import {Failure} from '../../errors.ts'
import {stuck} from '../../net/vm-link/flap.ts'
import {raiseLink} from '../../net/vm-link/vm-link.ts'
import {askAbout, look, type Scene, subjectOf} from '../scene.ts'
import {LISTEN_MS, type Standing} from '../standing.ts'
import type {Stage, Verdict} from '../strategy.ts'
import type {Statement} from './backends/backend.ts'
import {orUnknown} from './backends/context.ts'
import {ackSeen, isAnswered} from './lease-seen.ts'
import type {DhcpPlan} from './plan.ts'
import {give, makeAsk, SETTLE_NS, say, type Tools, takesLinkDown, withCondition, withSender} from './renewal.ts'

const RAISE_MS = 2000
const AGAIN_MS = 200

/** A plan that was looked at. */
interface Known {
  readonly before: Standing
  readonly statement: Statement
}

/** Safe to do twice, and in another process. A VM that never took the new router is not made to ask. */
export async function rollBack(plan: DhcpPlan, tools: Tools, stage: Stage): Promise<Verdict> {
  if (plan.before === null) return goneBack(plan, tools, stage)
  const down = await raiseLinks(plan)
  const verdict = await goneBack(plan, tools, stage)
  // One that is heard has its link.
  if (down.length === 0 || verdict.uses !== null) return verdict
  return {...verdict, ok: false, evidence: [...down, ...verdict.evidence]}
}

/** Whoever took a link down may have been killed, and what saw to it too. Resolves to what may be down still, in words. */
async function raiseLinks({triggers}: DhcpPlan): Promise<readonly string[]> {
  const down: string[] = []
  for (const each of triggers) {
    if (each.kind !== 'carrier') continue
    try {
      await raiseLink(each.link, RAISE_MS)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      down.push(stuck(each.link, error.message))
    }
  }
  return down
}

async function goneBack(plan: DhcpPlan, tools: Tools, stage: Stage): Promise<Verdict> {
  const {before, statement} = plan
  if (before === null || statement === null) {
    const why = 'nobody looked at how things stood before, so that there is nothing to go back to'
    return {ok: false, code: 'unverified', uses: null, evidence: [why]}
  }
  const known = {before, statement}
  const sinceNs = stage.world.now()
  // None if the switch ended before it began.
  if (!tools.store.evidence(plan.vm.mac)) tools.store.beginSwitch(plan.vm.mac, sinceNs)
  const old = oldGateway(plan, known)
  const now = await whereIs(plan.scene, old, stage)
  const took = await hasTaken(plan, known, now, tools)
  if (took && tools.backend.kind === 'shim') {
    // Asked again, its client would be told the same, and some lose their address over it.
    const wrong = await goBack(plan, known, undefined, tools, stage)
    const why = `a shim gives the VMs at its hypervisor the gateway of their site: ${plan.vm.name} was not made to ask again`
    const evidence = [why, ...(wrong === undefined ? [] : [wrong]), ...now.evidence]
    return {ok: false, code: now.code, uses: now.uses, evidence}
  }
  if (took && old !== null && old.mac !== plan.to.mac && (await isGone(plan.scene, old, stage))) {
    const why = `${old.name} (${old.mac}), which ${plan.vm.name} used before, does not serve any more: it is left where it is, and so is what its server gives it`
    // No order to refuse its renewal stays behind.
    if (plan.triggers.some(({kind}) => kind === 'nak')) await orUnknown(give(plan, plan.to, tools, stage))
    return {ok: false, code: now.code, uses: now.uses, evidence: [why, ...now.evidence]}
  }
  const wrong = await goBack(plan, known, took ? old : undefined, tools, stage)
  const after = took ? await whereAfter(plan, old, stage) : now
  const {acked} = ackSeen(plan, tools.store, took ? sinceNs : 0n)
  const said = took && old !== null ? [ackText(acked, old.ip)] : took ? [] : [untouchedText(plan, acked)]
  const isBack = wrong === undefined && isAsItWas(plan, known, took, after)
  const gone = after.away && after.uses === null ? [`${plan.vm.name} does not send to ${plan.to.name}`] : []
  const evidence = [...(wrong === undefined ? [] : [wrong]), ...said, ...gone, ...after.evidence]
  return {ok: isBack, code: after.code, uses: after.uses, evidence}
}

/** The gateway that the VM was on: as seen, else as its server had it. */
function oldGateway({scene}: DhcpPlan, {before, statement}: Known): NamedGateway | null {
  const told = scene.gateways.find(({ip, mac}) => ip === statement.router && !(before.away && mac === scene.to.mac))
  return before.uses ?? told ?? (before.away ? scene.from : null)
}

/** `away` is asked of the new gateway, also where another one is hoped for. */
async function whereIs(scene: Scene, hoped: NamedGateway | null, stage: Stage): Promise<Proof> {
  const wanted = hoped ?? scene.from
  const of4: Scene = {...scene, families: [4]}
  const seen = await look(of4, {wanted, other: null, vm: true, listenMs: LISTEN_MS, any: true}, stage)
  const {away, hidden} = judgeAfter(subjectOf(of4), seen)
  return {...judgeAfter(subjectOf(of4, wanted), seen), away: away || hidden}
}

/** The same once it was made to ask: one whose link was down for it is waited for. */
async function whereAfter(plan: DhcpPlan, hoped: NamedGateway | null, stage: Stage): Promise<Proof> {
  const untilNs = stage.world.now() + (takesLinkDown(plan) ? SETTLE_NS : 0n)
  for (;;) {
    const found = await whereIs(plan.scene, hoped, stage)
    if (found.uses !== null || stage.world.now() >= untilNs) return found
    await stage.world.sleep(AGAIN_MS)
  }
}

/** Whether the VM may have taken another router than it had: by its packets, its last ACK, or as nobody can tell. */
async function hasTaken(plan: DhcpPlan, {before, statement}: Known, now: Proof, tools: Tools): Promise<boolean> {
  const {vm, to} = plan
  const hadIt = before.uses === null ? !before.away && statement.router === to.ip : before.uses.mac === to.mac
  if (hadIt) return false
  if (now.uses?.mac === to.mac) return true
  const {acked} = ackSeen(plan, tools.store)
  if (acked !== undefined) return acked === to.ip
  const told = await orUnknown(tools.backend.lastTransaction(vm))
  // Its ACK carried what the server was set to give, as far as anybody knows.
  if (isAnswered(plan, told) && told!.acked === undefined) return true
  if (now.uses !== null || now.away) return false
  if (told !== undefined && !isAnswered(plan, told)) return false
  return told?.acked === undefined || told.acked === to.ip
}

async function isGone(scene: Scene, old: NamedGateway, {world, signal}: Stage): Promise<boolean> {
  const seen = await askAbout(scene, old, world, signal)
  // Silence beyond it means something only where the other gateway is answered.
  return isDead(seen, null) || (!forwards(seen) && isDead(seen, await askAbout(scene, scene.to, world, signal)))
}

/** `old`: the client is made to ask for it, null for whatever its server gives; undefined: it is left alone. */
async function goBack(
  plan: DhcpPlan,
  {statement}: Known,
  old: NamedGateway | null | undefined,
  tools: Tools,
  stage: Stage,
): Promise<string | undefined> {
  const restore = async (): Promise<void> => {
    await restoreServer(plan, statement, old ?? null, tools, stage)
  }
  // What it used before is not what its server would have given it: it is given that once, and then the server is as it was.
  const detour = old != null && statement.router !== null && statement.router !== old.ip ? old : undefined
  // What one step did not do keeps none of the others from being done: a server of several may have been told.
  let wrong: string | undefined
  const tried = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      wrong ??= error.message
    }
  }
  if (old === undefined) await tried(restore)
  else
    await tried(() =>
      withSender(plan, tools, stage, async (sender) => {
        const first = detour ? () => give(plan, detour, tools, stage) : restore
        await tried(first)
        await tried(() => makeAsk(plan, {router: old?.ip, again: first}, sender, tools, stage))
        if (detour) await tried(restore)
      }),
    )
  return wrong
}

async function restoreServer(
  plan: DhcpPlan,
  statement: Statement,
  old: NamedGateway | null,
  tools: Tools,
  stage: Stage,
): Promise<void> {
  // What cannot be read cannot be put back: what comes nearest is the gateway that the VM had.
  if (!statement.legible && old !== null) return give(plan, old, tools, stage)
  await withCondition(plan, tools, stage, () => tools.backend.restore(plan.vm, statement))
  const {router, own} = statement
  const what = own === null ? 'nothing is said of it alone' : `the router of ${plan.vm.name} is ${router ?? 'none'}`
  say(plan, stage, `${what}, as before`)
}

function isAsItWas({to}: DhcpPlan, {before, statement}: Known, took: boolean, now: Proof): boolean {
  if (now.uses === null && !now.away) return !took && now.code !== 'silent'
  if (before.uses !== null) return now.uses === null ? before.uses.mac !== to.mac : now.uses.mac === before.uses.mac
  if (before.away) return now.uses?.mac !== to.mac
  // It was not seen before: as it was is where its server had it, or what was not made to change.
  if (statement.router === null) return !took
  return now.uses === null ? statement.router !== to.ip : now.uses.ip === statement.router
}

const untouchedText = ({vm, to}: DhcpPlan, acked: string | null | undefined): string =>
  acked === undefined
    ? `no new ACK to it was seen, so that ${vm.name} was not made to ask again`
    : `its last ACK gave it ${acked ?? 'no router'}${acked === to.ip ? ', as before' : ''}: ${vm.name} was not made to ask again`
