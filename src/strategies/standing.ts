// What a plan remembers of before: which gateway the VM was seen to use. A rollback goes back to that, and to nothing else.
import {isDead, type NamedGateway} from '../domain/proof/gateway.ts'
import {placeOf} from '../domain/proof/place.ts'
import {
  type EgressSeen,
  judgeAfter,
  judgeBefore,
  type Observation,
  type Proof,
  standingOf,
} from '../domain/proof/proof.ts'
import {Failure} from '../errors.ts'
import {askAbout, type Eyes, isUnplugged, learnedBy, look, type Scene, subjectOf} from './scene.ts'
import type {Stage, Verdict} from './strategy.ts'

/** JSON. */
export interface Standing {
  /** The gateway that the VM was seen to use; null: not seen. */
  readonly uses: NamedGateway | null
  /** It was seen not to use the new one. */
  readonly away: boolean
  /** It did not use the new one, or has a firewall that answers the segment alone; default: false. */
  readonly hidden?: boolean
}

/** How long a VM is asked before it is told, ms, and how long once it is known to live: longer would only make it wait. */
const BEFORE_MS = 1500
const GRACE_MS = 250
/** A VM that drops ICMP is proved by what it says by itself, in this time, ms. */
export const LISTEN_MS = 5000

/** A VM that seems to be far is asked so often before that is believed, so far apart, ms. */
const FAR = {looks: 3, apartMs: 250}

/**
 * The look before a switch: how things stand, and whether it ends here. `awaited`: the VM does not run yet. A busy VM
 * answers late, and none answers sooner than it can: of several looks, one that finds it near is right.
 */
export async function lookBefore(
  scene: Scene,
  stage: Stage,
  options: LookOptions = {},
): Promise<{standing: Standing; ends: Verdict | null}> {
  let looked = await lookOnce(scene, stage, options)
  for (let again = 1; again < FAR.looks && looked.ends?.code === 'not-here'; again++) {
    await stage.world.sleep(FAR.apartMs, stage.signal)
    looked = await lookOnce(scene, stage, options)
  }
  const {contradiction, ...found} = looked
  if (contradiction !== undefined) stage.observe({atNs: stage.world.now(), text: contradiction})
  return found
}

interface LookOptions {
  readonly awaited?: boolean
  readonly eyes?: Eyes
}

async function lookOnce(scene: Scene, stage: Stage, {awaited = false, eyes}: LookOptions) {
  const seen = await look(
    scene,
    {wanted: scene.to, other: scene.from, vm: !awaited, listenMs: 0, waitMs: BEFORE_MS, graceMs: GRACE_MS, any: true},
    stage,
    eyes,
  )
  // Read after the VM has answered: until it is heard here the bridge may have it where it was.
  const learned = awaited ? undefined : await learnedBy(scene, stage.world)
  const judged = judgeBefore(subjectOf(scene), {...seen, learned}, awaited)
  const {code, uses, away, hidden, evidence, contradiction} = judged
  const unplugged = code === 'silent' && (await isUnplugged(scene, stage.world))
  const said = unplugged ? [`${scene.interface} has no carrier: ${scene.vm.name} is off, or unplugged`] : evidence
  const ends: Verdict | null = code === null ? null : {ok: code === 'already', code, uses, evidence: said}
  const standing: Standing = {uses, away, ...(hidden && {hidden})}
  return {standing, ends, contradiction}
}

export interface ProofExtras {
  /** Puts what was seen while it was told beside what is seen now. */
  readonly add?: (seen: Observation) => Observation
  readonly eyes?: Eyes
  readonly listenMs?: number
  readonly waitMs?: number
  /** Whether the VM is where the new gateway is was not looked at before: it is now. */
  readonly place?: boolean
}

/** Whether the VM is served by the new gateway now. */
export async function proveServed(
  scene: Scene,
  stage: Stage,
  {add = (seen) => seen, eyes, listenMs = LISTEN_MS, waitMs, place = false}: ProofExtras = {},
): Promise<Verdict> {
  const options = {wanted: scene.to, other: scene.from, vm: true, listenMs, ...(waitMs !== undefined && {waitMs})}
  for (let looks = 1; ; looks++) {
    const seen = await look(scene, options, stage, eyes)
    const verdict = verdictOf(judgeAfter(subjectOf(scene), add(seen)))
    if (!place || !verdict.ok || scene.otherSite) return verdict
    const {apart, text} = placeOf(subjectOf(scene), {...seen, learned: await learnedBy(scene, stage.world)})
    if (!apart) return verdict
    if (looks === FAR.looks) return {...verdict, ok: false, code: 'not-here', evidence: [text, ...verdict.evidence]}
    await stage.world.sleep(FAR.apartMs, stage.signal)
  }
}

/** Whether the new gateway serves, as far as it can be asked without the VM; null: nothing speaks against it. */
export async function checkTarget(scene: Scene, stage: Stage): Promise<Verdict | null> {
  const {ends} = await lookBefore(scene, stage, {awaited: true})
  return ends
}

/** What was seen of a VM that was told in the same breath, as a look before would have had it. */
export function standingFrom(scene: Scene, egress: readonly EgressSeen[]): Standing {
  // What it says by itself comes after the telling, too.
  const asked = egress.map((each) => ({...each, paths: each.paths.filter(({by}) => by === 'echo')}))
  const {uses, away, hidden} = standingOf(subjectOf(scene), asked)
  return {uses, away, ...(hidden && {hidden})}
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
  const isBack = ({uses, away}: Proof): boolean =>
    before?.uses ? uses?.mac === before.uses.mac : before?.away === true && away
  const verdict = (ok: boolean, {code, uses, evidence}: Proof, ...why: string[]): Verdict => ({
    ...{ok, code, uses, evidence: [...why, ...evidence]},
  })
  // What the other end remembers is right, whatever is seen.
  if (old !== null || !way.remembers) {
    const now = await howItIs(scene, old ?? scene.from, stage, way.eyes)
    if (isBack(now) && !way.remembers) return verdict(true, now)
    if (old === null || old.mac === scene.to.mac) {
      const why = `which gateway ${scene.vm.name} used before was not seen, so that nothing is put back: it was told to use ${scene.to.name}`
      return verdict(false, now, why)
    }
    if (!isBack(now) && (await isGone(scene, old, stage))) {
      await way.stay?.()
      const why = `${old.name} (${old.mac}), which ${scene.vm.name} used before, does not serve any more: it is left where it is`
      return verdict(false, now, why)
    }
  }
  await way.tell(old ?? scene.from)
  const after = await howItIs(scene, old ?? scene.from, stage, way.eyes)
  return verdict(isBack(after), after)
}

/** It is seen not to serve any more. */
async function isGone(scene: Scene, gateway: NamedGateway, {world, signal}: Stage): Promise<boolean> {
  const seen = await ifPossible(() => askAbout(scene, gateway, world, signal))
  return !(seen instanceof Failure) && isDead(seen, null)
}

/** An interface that went down in the middle keeps nobody from putting back, or saying, what is known. */
export async function ifPossible<T>(ask: () => Promise<T>): Promise<T | Failure> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof Failure && error.kind === 'runtime') return error
    throw error
  }
}

/** Where the VM sends now, judged from the gateway that is hoped for. Where nobody can look, it is unknown. */
async function howItIs(scene: Scene, wanted: NamedGateway, stage: Stage, eyes?: Eyes): Promise<Proof> {
  const seen = await ifPossible(() => look(scene, {wanted, other: null, vm: true, listenMs: 0}, stage, eyes))
  if (seen instanceof Failure)
    return {code: 'unverified', uses: null, away: false, hidden: false, evidence: [seen.message]}
  // `away` is asked of the new gateway, also where another one is hoped for.
  const {away, hidden} = judgeAfter(subjectOf(scene), seen)
  return {...judgeAfter(subjectOf(scene, wanted), seen), away, hidden}
}
