// Telling many VMs at once, and asking each where it sends: in rounds, for those that were not seen to follow yet.
import type {Vm} from '../../domain/inventory/site.ts'
import type {Link} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import {pause, startSchedule} from '../../probe/schedule.ts'
import {sendPaced} from '../../probe/send-paced.ts'
import type {EchoIdentity} from '../../probe/sighting.ts'
import {echoFrame, readSighting} from '../../probe/vm-watch.ts'
import type {AnnouncedGateway} from '../../strategies/arp/announcement.ts'
import {announcementFrame} from '../../strategies/arp/frames.ts'
import {type Ipv4, type Mac, writeIpv4, writeMac} from '../../wire/address.ts'
import {ethernetLength, parseEthernetHeader, type Vlan} from '../../wire/ethernet.ts'

/** One VM, and what was seen of it so far. */
export interface Target {
  readonly vm: Vm
  answered: boolean
  /** Where it sends what is for the gateway. */
  used: Mac | undefined
}

export interface TellOrder {
  readonly gateway: AnnouncedGateway
  readonly vlan: Vlan | undefined
  /** ms to listen after the last round. */
  readonly listenMs: number
}

export interface Told {
  readonly framesSent: number
  /** From the first frame until every VM was told once, ms. */
  readonly toldAfterMs: number
}

/** ms from the end of one round to the next, the last one again and again. */
const GAPS_MS = [300, 400]
/** So many rounds in a row that brought nobody end it. */
const FRUITLESS = 3
/** The same where frames were seen to be lost: most of those that are left are not silent but unheard. */
const FRUITLESS_WITH_LOSS = 8
/** Where somebody else takes VMs back, each round brings them anew. */
const MOST_ROUNDS = 30
/** Bytes from the ARP packet's start to its target address. */
const TARGET_IP = 24

/** How the rounds went so far. */
interface Rounds {
  readonly asked: number
  /** The last so many brought nobody. */
  readonly fruitless: number
  /** One after the first brought somebody, who had not been heard, or not been reached, before. */
  readonly lossy: boolean
}

/** @internal */
export const NO_ROUND: Rounds = {asked: 0, fruitless: 0, lossy: false}

/** After one more round, which brought some or nobody. @internal */
export const afterRound = ({asked, fruitless, lossy}: Rounds, brought: boolean): Rounds => ({
  asked: asked + 1,
  fruitless: brought ? 0 : fruitless + 1,
  lossy: lossy || (brought && asked > 0),
})

/** Whether those that are left are asked once more. @internal */
export const asksAgain = ({asked, fruitless, lossy}: Rounds): boolean =>
  asked < MOST_ROUNDS && fruitless < (lossy ? FRUITLESS_WITH_LOSS : FRUITLESS)

/** Fills the targets in. All are told before any is asked. @throws the signal's reason. */
export async function tellAll(
  link: Link,
  world: World,
  {gateway, vlan, listenMs}: TellOrder,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<Told> {
  const echo: EchoIdentity = {gatewayIp: gateway.ip, identifier: Math.floor(world.random() * 0x10000)}
  const byMac = new Map(targets.map((target) => [target.vm.mac, target]))
  const left = new Set(targets)
  const done = new AbortController()
  const unsubscribe = link.onFrame((received) => {
    const target = byMac.get(parseEthernetHeader(received.bytes).source)
    const sighting = target && readSighting(received, {...target.vm, vlan}, echo, undefined)
    if (!sighting) return
    target.answered = true
    if (sighting.kind !== 'echo-reply') return
    target.used = sighting.destinationMac
    if (target.used === gateway.mac) left.delete(target)
    else left.add(target)
    if (left.size === 0) done.abort()
  })
  const schedule = startSchedule(world, signal)
  let [framesSent, toldAfterMs, gapMs, rounds] = [0, 0, 0, NO_ROUND]
  try {
    while (left.size > 0 && asksAgain(rounds)) {
      const vms = [...left].map(({vm}) => vm)
      await sendPaced(link, askFrames(gateway, vms, vlan, link.mac), world, signal)
      if (rounds.asked === 0) toldAfterMs = schedule.elapsedMs()
      const echoes = vms.map((vm) => echoFrame(link, {...vm, vlan}, echo, rounds.asked + 1))
      await sendPaced(link, echoes, world, signal)
      framesSent += 2 * vms.length
      gapMs = GAPS_MS[rounds.asked] ?? GAPS_MS.at(-1)!
      await pause(world, gapMs, done.signal, signal)
      rounds = afterRound(rounds, left.size < vms.length)
    }
    await pause(world, listenMs - gapMs, done.signal, signal)
  } finally {
    unsubscribe()
  }
  return {framesSent, toldAfterMs}
}

/** The `ask` frame of every VM: one is built, the others are copies with the VM's two addresses put in. @internal */
export function askFrames(
  gateway: AnnouncedGateway,
  vms: readonly {readonly ip: Ipv4; readonly mac: Mac}[],
  vlan: Vlan | undefined,
  sourceMac: Mac,
): Uint8Array[] {
  const [first] = vms
  if (!first) return []
  const model = announcementFrame('ask', gateway, {vm: first, vlan}, sourceMac).bytes
  const targetAt = ethernetLength({vlan}) + TARGET_IP
  return vms.map(({ip, mac}) => {
    const frame = new Uint8Array(model)
    writeMac(mac, frame, 0)
    writeIpv4(ip, frame, targetAt)
    return frame
  })
}
