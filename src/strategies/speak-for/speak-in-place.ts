// Takes the VM's place at its port, opens this host's tables, and speaks; whatever was opened is closed again.
import {expectInjectable, isShared, portOfVm} from '../../domain/vantage/vm-port.ts'
import {Failure} from '../../errors.ts'
import type {SpeakerWorld} from '../../net/world.ts'
import {expectAlive, standIn} from '../../probe/stand-in.ts'
import type {Ipv4, Prefix} from '../../wire/address.ts'
import type {Stage, Verdict} from '../strategy.ts'
import {judgeKnown} from './judge.ts'
import {knownAddresses, type SpeakPlan} from './plan.ts'
import {hearing, type Mouth, type SpeakReport, speak} from './speak.ts'

export interface PlaceOptions {
  /** The VM was heard at its port, or need not have been. */
  readonly sure: boolean
  /** Of its segment, if known. */
  readonly segment?: Prefix | undefined
  readonly echoTo?: readonly Ipv4[]
  readonly listenMs?: number
  readonly patienceMs?: number
}

/** A switch waits no longer than its rounds take: what it proves does not depend on this. */
const IN_SWITCH_MS = 1000

/** @throws Failure as `standIn` and `speak` */
export async function speakInPlace(
  plan: SpeakPlan,
  {vantage, tables: openTables}: SpeakerWorld,
  {sure, segment, ...options}: PlaceOptions,
  {world, signal}: Pick<Stage, 'world' | 'signal'>,
): Promise<SpeakReport> {
  const {name: label, ip, mac} = plan.vm
  const {port, leg} = plan
  const place =
    port === null ? undefined : {label, port, vm: {ip, ip6: undefined, mac}, segment, gateways: [], sure: true}
  if (place && !sure) await expectAlive(world, place, signal)
  const tables = leg === null ? undefined : openTables()
  const atPort: Mouth['atPort'] =
    place &&
    (async (use, either) => {
      const stand = await standIn(world, vantage, place, either)
      try {
        await using link = await stand.world.openLink(place.port, hearing(mac))
        return await use(link)
      } finally {
        await stand.close()
      }
    })
  try {
    return await speak(plan, {atPort, tables, ...options}, world, signal)
  } finally {
    tables?.close()
  }
}

/**
 * The part of a switch, once the VM was heard: what comes of it is told, and nothing of it undoes the switch.
 * @throws the signal's reason
 */
export async function speakInSwitch(plan: SpeakPlan, {world, signal, observe}: Stage): Promise<void> {
  const say = (text: string): void => observe({atNs: world.now(), text})
  try {
    const speaker = await world.speaker?.()
    if (!speaker) return
    const port = await portHere(plan, speaker)
    const report = await speakInPlace({...plan, port}, speaker, {sure: true, patienceMs: IN_SWITCH_MS}, {world, signal})
    for (const {atNs, text, direction, kind, bytes} of report.events)
      observe({
        atNs,
        text,
        ...(bytes.length > 0 && {frame: {direction, kind, hex: Buffer.from(bytes).toString('hex')}}),
      })
    for (const line of judgeKnown(plan, report).evidence) say(line)
  } catch (error) {
    signal.throwIfAborted()
    say(`${plan.vm.name} is not made known any further: ${error instanceof Error ? error.message : error}`)
  }
}

/** What a rollback leaves: the entries at the gateway's own leg by which it still has the VM are told, and stay. */
export async function withStillKnown(verdict: Verdict, plan: SpeakPlan, {world}: Stage): Promise<Verdict> {
  const {leg, vm, gateway} = plan
  if (leg === null) return verdict
  try {
    const tables = (await world.speaker?.())?.tables()
    try {
      const still = knownAddresses(plan).filter((ip) => {
        const entry = tables?.entry(leg, ip)
        return entry?.mac === vm.mac && !entry.external
      })
      const said = still.map(
        (ip) =>
          `${gateway.name} still has ${vm.name} at ${leg}: ${ip} is at ${vm.mac} (ip neigh del ${ip} dev ${leg} takes that away)`,
      )
      return {...verdict, evidence: [...verdict.evidence, ...said]}
    } finally {
      tables?.close()
    }
  } catch (error) {
    const why = `whether ${gateway.name} still has ${vm.name} at ${leg} cannot be seen: ${error instanceof Error ? error.message : error}`
    return {...verdict, evidence: [...verdict.evidence, why]}
  }
}

/** The VM's own port, if frames can be laid into it here; null where the gateway's leg is, and the port is not. */
async function portHere({vm, port, leg}: SpeakPlan, {vantage}: SpeakerWorld): Promise<string | null> {
  const station = {label: vm.name, mac: vm.mac}
  try {
    const [links, learned] = await Promise.all([vantage.links(), vantage.learned()])
    const found = portOfVm(station, links, learned, port ?? undefined)
    // What is not said need not be put into words: behind the port of another switch there are thousands.
    if (leg !== null && port === null && isShared(found, station, learned)) return null
    expectInjectable(station, found, learned, port !== null)
    return found.name
  } catch (error) {
    if (leg !== null && error instanceof Failure) return null
    throw error
  }
}
