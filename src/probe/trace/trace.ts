// Measures one destination through two or more first hops and returns what was seen. What to do next is said by a pure
// function of what was seen so far (domain/trace/plan.ts); here it is done.
import type {IntegrityEvidence, ProbeProtocol, TraceEvidence} from '../../domain/trace/evidence.ts'
import type {Step} from '../../domain/trace/plan.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import {alternativeHops, currentHop} from './candidates.ts'
import {type Exit, makeExit} from './exit.ts'
import {type Began, evidenceOf, type Gathered, UNSEEN} from './gather.ts'
import {makeLooker} from './looker.ts'
import {makePairs} from './pairs.ts'
import type {Station, TraceRun} from './run.ts'
import {routeSnapshot} from './snapshot.ts'
import {makeSolo} from './solo.ts'
import type {TraceRequest} from './trace-request.ts'

/** Rounds of pairs after which hops are looked at even if nothing is decided: until then every packet is a pair's. */
const HOPS_FROM_ROUND = 10

/**
 * Runs one trace. When `signal` is aborted, or the interface goes away, it stops early, and the evidence says it is not
 * complete.
 * @throws Failure as {@link currentHop} and {@link alternativeHops}, and `privilege` without CAP_NET_RAW.
 */
export async function trace(run: TraceRun, request: TraceRequest, signal: AbortSignal): Promise<TraceEvidence> {
  const {world} = run
  const began = {startedNs: world.monotonic(), startedAt: new Date(Number(world.now() / 1_000_000n)).toISOString()}
  const hop = await currentHop(world, request)
  const {candidates: alternatives, arpAnswers} = await alternativeHops(
    world,
    request.alternatives,
    hop,
    request.alternativesNamed,
  )
  const station = await run.station(hop.facts.name, hop.source)
  const candidates = [hop.candidate, ...alternatives]
  const exits = candidates.map((candidate) =>
    makeExit({
      ...{candidate, firstHop: station.firstHop(candidate.mac), destination: request.destination.ip},
      ...{port: request.port, identities: run.identities},
    }),
  )
  const before = await routeSnapshot(world, request, hop, candidates)
  const flaps = await world.carrierChanges?.(hop.facts.name)
  const tracer = makeTracer(run, request, station, exits, {...began, hop, arpAnswers}, signal)
  if (exits.length > 1) await tracer.measure()
  await tracer.finish()
  const after = station.lost.aborted ? before : await routeSnapshot(world, request, hop, candidates)
  const redirects = await world.redirectFacts(hop.facts.name, isVersion6(request.destination.ip) ? 6 : 4)
  const evidence = tracer.gather({before, after}, redirects)
  const flapped = (await world.carrierChanges?.(hop.facts.name)) !== flaps
  return flapped && evidence.integrity.linkLost === null
    ? withLinkLost(evidence, `the carrier of ${hop.facts.name} came or went`)
    : evidence
}

function makeTracer(
  run: TraceRun,
  request: TraceRequest,
  station: Station,
  exits: readonly Exit[],
  began: Began,
  signal: AbortSignal,
) {
  const stop = AbortSignal.any([signal, station.lost])
  const pairs = makePairs(run, station, exits, {...request, startedNs: began.startedNs})
  const solo = makeSolo(run, station, stop)
  const probed = {protocol: request.protocols[0]!, silent: [] as ProbeProtocol[], afreshAtMs: null as number | null}
  const looker = makeLooker(run, station, exits, () => probed.protocol, stop)
  pairs.begin(probed.protocol)

  const gather = (
    snapshots: Pick<IntegrityEvidence, 'before' | 'after'>,
    redirects?: Gathered['redirects'],
  ): TraceEvidence =>
    evidenceOf({...began, request, station, exits, pairs, probed, snapshots, redirects, complete: !stop.aborted})

  /** One pair through every alternative, and something of what the hops are. */
  const round = async (number: number): Promise<void> => {
    for (let i = 0; i + 1 < exits.length && !stop.aborted; i++) await pairs.send(i, stop)
    looker.look(number >= HOPS_FROM_ROUND)
    request.onPair?.(number)
    await pairs.rest(stop)
  }
  let hops = true
  /** Does all that is to be done before the next pairs; false if nothing is left to do. */
  const goOn = async (): Promise<boolean> => {
    while (!stop.aborted) {
      const mayGoOn = pairs.counted() < request.pairs
      const step = request.next(gather({before: UNSEEN, after: UNSEEN}), mayGoOn)
      if (step.kind === 'pairs') return true
      if (step.kind !== 'done') await carryOut(step)
      else if (pairs.pending()) await pairs.drain()
      else {
        hops = step.hops
        return false
      }
    }
    return false
  }
  const carryOut = async (step: Exclude<Step, {kind: 'pairs' | 'done'}>): Promise<void> => {
    switch (step.kind) {
      case 'protocol':
        // Back at the first one, none is known to be silent.
        probed.silent = step.protocol === request.protocols[0] ? [] : [...probed.silent, probed.protocol]
        probed.protocol = step.protocol
        for (const exit of exits) exit.works = null
        return pairs.begin(step.protocol)
      case 'afresh':
        probed.afreshAtMs = pairs.elapsedMs()
        return looker.afresh()
      case 'again':
        return looker.again(step.ageMs)
      case 'check':
        await pairs.drain()
        exits[step.exit]!.works = await solo.works(exits[step.exit]!, probed.protocol, pairs.lost(step.exit))
        return
      case 'flows':
        exits[0]!.tcpFlows = await solo.flows(exits[0]!)
    }
  }
  return {
    gather,
    /** Ends early, and silently, when it is stopped: the evidence tells. */
    async measure(): Promise<void> {
      try {
        for (let number = 0; number === 0 || (await goOn()); number++) await round(number)
      } catch (error) {
        if (!stop.aborted) throw error
      }
    },
    /** Looks at the rest of the hops, if they are wanted. */
    finish: () => looker.finish(hops),
  }
}

/** Frames that went out meanwhile went nowhere, and nobody said so. */
const withLinkLost = (evidence: TraceEvidence, linkLost: string): TraceEvidence => ({
  ...evidence,
  complete: false,
  integrity: {...evidence.integrity, linkLost},
})
