// What `who` makes of the frames that it hears: where VMs send, who speaks for a gateway, which segments are here.
import {allGateways, type Inventory} from '../domain/inventory/site.ts'
import type {Stranger} from '../domain/who.ts'
import type {Place} from '../domain/who-places.ts'
import type {ReceivedFrame} from '../net/packet/link.ts'
import {isIpv4} from '../wire/address.ts'
import {parseArp} from '../wire/arp.ts'
import {ifWellFormed} from '../wire/error.ts'
import {ETHERTYPE_ARP, parseEthernet, parseEthernetHeader, vlanTag} from '../wire/ethernet.ts'
import type {Sighting} from './sighting.ts'
import {readSighting} from './vm-watch.ts'
import type {Question} from './who-questions.ts'

export interface Ears {
  /** Takes a frame for what it says. `withTraffic`: what a VM sends off its segment by itself counts. */
  hear(frame: ReceivedFrame, port: string, withTraffic: boolean): void
  /** Those of which it is not known where their traffic goes. */
  readonly left: ReadonlySet<Question>
  /** Whether anything of a segment was heard, a VM or a gateway. */
  isHere(segment: string): boolean
  strangers(): Stranger[]
}

/** The places of a segment that a frame with this tag may belong to. */
const placeAt = (places: readonly Place[], port: string, tag: number | undefined): Place | undefined =>
  places.find((place) => place.port === port && place.tag === tag)

export function makeEars(questions: readonly Question[], inventory: Inventory): Ears {
  const left = new Set(questions)
  const byMac = Map.groupBy(questions, ({vm}) => vm.mac)
  // A router may answer on one leg for the address of another, where several segments lie on these ports.
  const known = new Set(allGateways(inventory).map(({mac}) => mac))
  const segments = new Map(questions.map((question) => [question.segment.name, question]))
  const claims: (Stranger & {readonly place: Place})[] = []
  /** `SEGMENT PORT TAG` at which a VM or a gateway of it was heard. */
  const proven = new Set<string>()
  const here = new Set<string>()
  const isAt = (segment: string, {port, tag}: Place): void => {
    here.add(segment)
    proven.add(`${segment} ${port} ${tag}`)
  }

  const hearArp = ({bytes}: ReceivedFrame, port: string): void => {
    const said = arpOf(bytes)
    if (said === undefined || !isIpv4(said.arp.senderIp)) return
    const {senderMac: mac, senderIp: ip} = said.arp
    for (const {segment, places} of segments.values()) {
      const place = placeAt(places, port, said.tag)
      const gateways = segment.gateways.filter((gateway) => gateway.ip === ip || gateway.ownIp === ip)
      if (place === undefined || gateways.length === 0) continue
      if (gateways.some((gateway) => gateway.mac === mac)) isAt(segment.name, place)
      else if (!known.has(mac) && gateways.some((gateway) => gateway.ip === ip))
        claims.push({mac, ip, segment: segment.name, text: `${mac} says by ARP that it is ${ip}`, place})
    }
  }

  return {
    left,
    isHere: (segment) => here.has(segment),
    hear(frame, port, withTraffic) {
      if (frame.bytes.length < 14) return
      hearArp(frame, port)
      const header = ifWellFormed(() => parseEthernetHeader(frame.bytes))
      for (const question of header ? (byMac.get(header.source) ?? []) : []) {
        const place = placeAt(question.places, port, header?.vlan?.id)
        if (place === undefined || !take(frame, question, place, withTraffic)) continue
        isAt(question.segment.name, place)
        if (question.found.by !== undefined && question.found.by !== 'echo') left.delete(question)
      }
    },
    strangers: () => [
      ...new Map(
        claims
          .filter(({segment, place: {port, tag, sure}}) => sure || proven.has(`${segment} ${port} ${tag}`))
          .map(({place: _, ...stranger}) => [`${stranger.segment} ${stranger.mac}`, stranger]),
      ).values(),
    ],
  }
}

/** What one frame of a VM says about one of its addresses; false if nothing. */
function take(frame: ReceivedFrame, question: Question, place: Place, withTraffic: boolean): boolean {
  const {vm, ip, far, shared, segment} = question
  const watched = {ip, mac: vm.mac, vlan: vlanTag(place.tag)}
  const answer = readSighting(frame, watched, far, withTraffic ? segment.prefix : undefined)
  if (answer !== undefined && isWayOut(answer)) {
    const {destinationMac: mac} = answer
    // An answer takes the way that is new; what it says by itself may be of a session that began before.
    if (answer.kind === 'traffic' && question.found.by === 'off-segment-echo') return true
    const by = answer.kind === 'traffic' ? 'own-frames' : 'off-segment-echo'
    question.found = {...question.found, mac, by, alive: true}
    question.at = place
    return true
  }
  const entry = shared && readSighting(frame, watched, shared, undefined)
  if (answer === undefined && entry === undefined) return false
  question.found = {...question.found, alive: true}
  question.at ??= place
  if (entry?.kind !== 'echo-reply') return true
  const {destinationMac: mac} = entry
  const {by} = question.found
  question.found = {...question.found, entry: mac, ...((by === undefined || by === 'echo') && {mac, by: 'echo'})}
  return true
}

const isWayOut = ({kind}: Sighting): boolean => kind === 'echo-reply' || kind === 'traffic'

function arpOf(bytes: Uint8Array) {
  return ifWellFormed(() => {
    const {etherType: type, payload, vlan} = parseEthernet(bytes)
    return type === ETHERTYPE_ARP ? {arp: parseArp(payload), tag: vlan?.id} : undefined
  })
}
