// What a plan remembers of before: which gateway the VM was seen to use. A rollback goes back to that, and to nothing else.
import {
  isDead,
  judgeAfter,
  judgeBefore,
  type NamedGateway,
  type Observation,
  type Proof,
} from '../domain/proof/proof.ts'
import {askAbout, type Eyes, learnedBy, look, type Scene, subjectOf} from './scene.ts'
import type {Stage, Verdict} from './strategy.ts'

/** JSON. */
export interface Standing {
  /** The gateway that the VM was seen to use; null: not seen. */
  readonly uses: NamedGateway | null
  /** It was seen not to use the new one. */
  readonly away: boolean
}

/** How long a VM is asked before it is told, ms, and how long once it is known to live: longer would only make it wait. */
const BEFORE_MS = 1500
const GRACE_MS = 250
/** A VM that drops ICMP is proved by what it says by itself, in this time, ms. */
export const LISTEN_MS = 5000

/** The look before a switch: how things stand, and whether it ends here. `awaited`: the VM does not run yet. */
export async function lookBefore(
  scene: Scene,
  stage: Stage,
  {awaited = false, eyes}: {readonly awaited?: boolean; readonly eyes?: Eyes} = {},
): Promise<{standing: Standing; ends: Verdict | null}> {
  const seen = await look(
    scene,
    {wanted: scene.to, other: scene.from, vm: !awaited, listenMs: 0, waitMs: BEFORE_MS, graceMs: GRACE_MS, any: true},
    stage,
    eyes,
  )
  // Read after the VM has answered: until it is heard here the bridge may have it where it was.
  const learned = awaited ? undefined : await learnedBy(scene, stage.world)
  const {code, uses, away, evidence, contradiction} = judgeBefore(subjectOf(scene), {...seen, learned}, awaited)
  if (contradiction !== undefined) stage.observe({atNs: stage.world.now(), text: contradiction})
  const ends = code === null ? null : {ok: code === 'already', code, uses, evidence}
  return {standing: {uses, away}, ends}
}

export interface ProofExtras {
  /** Puts what was seen while it was told beside what is seen now. */
  readonly add?: (seen: Observation) => Observation
  readonly eyes?: Eyes
  readonly listenMs?: number
  readonly waitMs?: number
}

/** Whether the VM is served by the new gateway now. */
export async function proveServed(
  scene: Scene,
  stage: Stage,
  {add = (seen) => seen, eyes, listenMs = LISTEN_MS, waitMs}: ProofExtras = {},
): Promise<Verdict> {
  const options = {wanted: scene.to, other: scene.from, vm: true, listenMs, ...(waitMs !== undefined && {waitMs})}
  const seen = await look(scene, options, stage, eyes)
  return verdictOf(judgeAfter(subjectOf(scene), add(seen)))
}

export const verdictOf = ({code, uses, evidence}: Proof): Verdict => ({
  ok: code === 'served',
  ...{code, uses, evidence},
})

/** What a strategy does to put a VM back, and how it says it. */
export interface WayBack {
  /** Tells the VM, alone, to use this gateway again. */
  tell(gateway: NamedGateway): Promise<void>
  /** The other end knows itself what was before, and is told to go back to it in any case. */
  readonly remembers?: boolean
  readonly eyes?: Eyes
  /** Tells a VM that would go back by itself to stay: there is nothing to go back to. */
  stay?(): Promise<void>
}

/**
 * Puts a VM back to what it was seen to use before: only there, only if that gateway still serves, and not at all if it is
 * there. A VM that was not seen before stays where it was told to go, and the verdict says so.
 */
export async function putBack(scene: Scene, before: Standing | null, way: WayBack, stage: Stage): Promise<Verdict> {
  const old = before?.uses ?? (before?.away ? scene.from : null)
  const now = await howItIs(scene, old ?? scene.from, stage, way.eyes)
  const isBack = (proof: Proof): boolean =>
    before?.uses ? proof.uses?.mac === before.uses.mac : before?.away === true && proof.away
  // A VM that was seen only not to use the new gateway may look so for another reason, such as a firewall that answers the
  // segment alone: where one gateway is left that it can have used, it is told all the same.
  const isSure = before?.uses != null || scene.gateways.length > 2
  if (isBack(now.back) && isSure && !way.remembers)
    return {ok: true, code: now.back.code, uses: now.back.uses, evidence: now.back.evidence}
  if ((old === null && !way.remembers) || old?.mac === scene.to.mac) {
    const why = `which gateway ${scene.vm.name} used before was not seen, so that nothing is put back: it was told to use ${scene.to.name}`
    return {ok: false, code: now.back.code, uses: now.back.uses, evidence: [why, ...now.back.evidence]}
  }
  const gateway = old === null ? null : await askAbout(scene, old, stage.world, stage.signal)
  if (old !== null && gateway !== null && isDead(gateway, null) && !isBack(now.back)) {
    await way.stay?.()
    const why = `${old.name} (${old.mac}), which ${scene.vm.name} used before, does not serve any more: it is left where it is`
    return {ok: false, code: now.back.code, uses: now.back.uses, evidence: [why, ...now.back.evidence]}
  }
  await way.tell(old ?? scene.from)
  const after = await howItIs(scene, old ?? scene.from, stage, way.eyes)
  return {ok: isBack(after.back), code: after.back.code, uses: after.back.uses, evidence: after.back.evidence}
}

/** Where the VM sends now, judged from the gateway that is hoped for. */
async function howItIs(scene: Scene, wanted: NamedGateway, stage: Stage, eyes?: Eyes): Promise<{back: Proof}> {
  const seen = await look(scene, {wanted, other: null, vm: true, listenMs: 0}, stage, eyes)
  const judged = judgeAfter(subjectOf(scene, wanted), seen)
  // `away` is asked of the new gateway, also where another one is hoped for.
  return {back: {...judged, away: judgeAfter(subjectOf(scene), seen).away}}
}
