// The responder on one VM port: answers who-has GATEWAY with this site's MAC, before the far gateway's answer is there.

import {Failure} from '../../errors.ts'
import {anyOf, etherType} from '../../net/packet/bpf.ts'
import type {Link, ReceivedFrame} from '../../net/packet/link.ts'
import type {World} from '../../net/world.ts'
import {readClaim} from '../../strategies/arp/claims.ts'
import {announcementFrame} from '../../strategies/arp/frames.ts'
import {isGroupMac, type Mac} from '../../wire/address.ts'
import {ifWellFormed} from '../../wire/error.ts'
import {ETHERTYPE_ARP, ETHERTYPE_IPV6, parseEthernet} from '../../wire/ethernet.ts'
import {isVersion6} from '../../wire/ipv6-address.ts'
import {type Answer, answerTo, type LocalGateway} from './answers.ts'

export interface ResponderOptions {
  readonly gateways: readonly LocalGateway[]
  /** Answer these VMs alone; undefined: whoever asks on the port. */
  readonly vms: ReadonlySet<Mac> | undefined
  /** Also answer frames that tell a VM another MAC, by asking it: what no filter keeps out. */
  readonly hold: boolean
  /** With `hold`: what these are told is answered also before they have asked. */
  readonly named?: readonly HeldVm[]
  /** At which port VMs were heard, for all ports together: told by and to the responders. */
  readonly places?: Map<Mac, string>
  log(line: string): void
}

/** A VM that is known beforehand, and a gateway that it is to be held on. */
export type HeldVm = Pick<Answer, 'gateway' | 'vm'>

export interface ResponderCounters {
  /** Questions answered. */
  answered: number
  /** VMs asked in turn, since they still used another site's gateway. */
  asked: number
  /** Frames that told a VM another MAC, and were countered. */
  held: number
}

interface Known {
  readonly answer: Pick<Answer, 'gateway' | 'vm' | 'vlan'>
  askedNs: bigint
  pending: boolean
}

const keyOf = ({vm, gateway}: HeldVm): string => `${vm.mac} ${gateway.ip}`

/** VMs remembered a port. One port has one VM, or a few behind a nested bridge. */
const REMEMBERED = 256
/** IPv6 has no lock time: the far gateway's answer comes later and wins, so the VM is asked once it must be there. */
const AFTER_FAR_ANSWER_MS = [40, 150]
/** Two counters to the same VM are never closer than this, ms. */
const HOLD_GAP_MS = 10

/** What a responder must hear: open the link with it, promiscuous, and with `outgoing` frames where it holds. */
export const responderFilter = anyOf([[etherType(ETHERTYPE_ARP)], [etherType(ETHERTYPE_IPV6)]])

/** Serves until `stop` is called. */
export function startResponder(
  link: Link,
  world: World,
  options: ResponderOptions,
  counters: ResponderCounters = {answered: 0, asked: 0, held: 0},
): {readonly counters: ResponderCounters; stop(): void} {
  const {named = [], places = new Map<Mac, string>()} = options
  const ending = new AbortController()
  const known = new Map<string, Known>(
    named.map((answer) => [keyOf(answer), {answer: {...answer, vlan: undefined}, askedNs: 0n, pending: false}]),
  )
  const lasting = new Set(known.keys())

  /** False: the port went down, or away, meanwhile. */
  const send = (frame: Uint8Array): boolean => {
    try {
      link.send(frame)
      return true
    } catch (error) {
      if (!(error instanceof Failure) || error.kind !== 'runtime') throw error
      options.log(error.message)
      return false
    }
  }
  const ask = ({gateway, vm, vlan}: Known['answer']): boolean =>
    send(announcementFrame('ask', gateway, {vm, vlan}, link.mac).bytes)
  const remember = (answer: Answer) => {
    const key = keyOf(answer)
    const entry = {answer, askedNs: known.get(key)?.askedNs ?? 0n, pending: known.get(key)?.pending ?? false}
    known.delete(key)
    known.set(key, entry)
    if (known.size > REMEMBERED + lasting.size) known.delete([...known.keys()].find((each) => !lasting.has(each))!)
    return entry
  }
  const later = async (entry: Known): Promise<void> => {
    if (entry.pending) return
    entry.pending = true
    try {
      for (const ms of AFTER_FAR_ANSWER_MS) {
        await world.sleep(ms, ending.signal)
        ask(entry.answer)
      }
    } catch {
      // Stopped: there is nobody left to ask.
    } finally {
      entry.pending = false
    }
  }
  const answer = (found: Answer): void => {
    if (!send(found.frame)) return
    counters.answered++
    const entry = remember(found)
    if (found.checksAnother && ask(found)) counters.asked++
    if (isVersion6(found.gateway.ip)) void later(entry)
    const why = found.checksAnother ? ', which it thought elsewhere: asked in turn' : ''
    options.log(
      `${link.name}: told ${found.vm.ip} (${found.vm.mac}) that ${found.gateway.ip} is at ${found.gateway.mac}${why}`,
    )
  }
  const counter = (received: ReceivedFrame): void => {
    for (const entry of known.values()) {
      const {gateway, vm, vlan} = entry.answer
      const claim = readClaim(received.bytes, gateway.ip)
      if (!claim || claim.mac === gateway.mac || claim.vlanId !== vlan?.id) continue
      if (claim.destination !== vm.mac && !isGroupMac(claim.destination)) continue
      // What goes to all is for whoever is behind this port.
      if ((places.get(vm.mac) ?? link.name) !== link.name) continue
      if (received.timestampNs - entry.askedNs < BigInt(HOLD_GAP_MS * 1e6)) continue
      entry.askedNs = received.timestampNs
      if (!ask(entry.answer)) continue
      counters.held++
      options.log(`${link.name}: ${claim.mac} told ${vm.ip} otherwise (${claim.text}): asked it in turn`)
    }
  }
  const noteSource = (bytes: Uint8Array): void => {
    const source = ifWellFormed(() => parseEthernet(bytes).source)
    if (source !== undefined && named.some(({vm}) => vm.mac === source)) places.set(source, link.name)
  }
  const unsubscribe = link.onFrame((received) => {
    if (received.packetType === 'outgoing') {
      if (options.hold) counter(received)
      return
    }
    if (lasting.size > 0) noteSource(received.bytes)
    const found = answerTo(received.bytes, options.gateways, link.mac)
    if (found && (options.vms === undefined || options.vms.has(found.vm.mac))) answer(found)
  })
  return {
    counters,
    stop() {
      unsubscribe()
      ending.abort()
    },
  }
}
