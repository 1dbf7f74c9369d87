// Does a gateway take IPv6 packets on? Asked as gateways.ts asks for IPv4: by echoes through its MAC to somewhere beyond.
// Whether it lives at that MAC is asked there.
import type {Beyond} from '../domain/proof/gateway.ts'
import {anyOf} from '../net/packet/bpf.ts'
import type {World} from '../net/world.ts'
import type {Mac} from '../wire/address.ts'
import type {Vlan} from '../wire/ethernet.ts'
import {icmpv6Frame} from '../wire/icmpv6.ts'
import {type Ipv6, isLinkLocal} from '../wire/ipv6-address.ts'
import {FAR_AWAY6} from './egress.ts'
import {hopsBack, LISTEN_MS, MOST_DESTINATIONS, NEXT_HOP_TTL, ROUNDS_MS} from './gateways.ts'
import {startSchedule} from './schedule.ts'
import {ECHO6_CODEC} from './trace/echo6-probe.ts'
import {askNd} from './trace/nd-ask.ts'

export interface Gateway6Question {
  readonly interfaceName: string
  /** Of the echoes: the VM's own address. Its answers pass here on their way to the VM, which drops them. */
  readonly source: Ipv6
  readonly vlan: Vlan | undefined
  readonly mac: Mac
  /** Addresses off the segment; none: the gateway's next hop is made to speak, and nothing else says anything. */
  readonly destinations: readonly Ipv6[]
}

/** Silence and refusals say something of addresses that are somebody's. */
const spoken = (guessed: boolean, beyond: 'refuses' | 'silent', witness: string): Beyond => ({
  beyond: guessed ? 'silent' : beyond,
  witness,
})

/** At most 1.2 s. Aborting ends it with the signal's reason. */
export async function askGateway6(
  {interfaceName, source, vlan, mac, destinations}: Gateway6Question,
  world: World,
  signal: AbortSignal,
): Promise<Beyond> {
  const guessed = destinations.length === 0
  const asked = guessed ? FAR_AWAY6.slice(0, 1) : destinations.slice(0, MOST_DESTINATIONS)
  const link = await world.openLink(interfaceName, {filter: anyOf(ECHO6_CODEC.filter), promiscuous: true})
  const identity = Math.floor(world.random() * 0x10000)
  const refused = new Set<Ipv6>()
  const done = new AbortController()
  let witness: string | undefined
  try {
    link.onFrame(({bytes}) => {
      const heard = ECHO6_CODEC.read(bytes, {mac: link.mac, ip: source})
      if (heard?.identity !== identity || heard.kind === 'redirect') return
      const {source: from, destination} = heard
      if (hopsBack(heard) === 0) {
        if (heard.kind === 'refused') refused.add(destination)
        return
      }
      witness ??= from === destination ? `${from} answers` : `${from} answers for ${destination}`
      done.abort()
    })
    const schedule = startSchedule(world, signal)
    for (const [round, atMs] of ROUNDS_MS.entries()) {
      await schedule.until(atMs, done.signal)
      if (done.signal.aborted) break
      // The next hop is asked for once: routers give few ICMPv6 errors a second.
      const probes = asked.map((destination) => ({destination, hopLimit: 64}))
      for (const [i, probe] of [...probes, {destination: asked[0]!, hopLimit: NEXT_HOP_TTL}].entries())
        link.send(
          icmpv6Frame(
            {destination: mac, source: link.mac, ...(vlan && {vlan})},
            {source, ...probe},
            {kind: 'echo-request', identifier: identity, sequence: round * 16 + i + 1, payload: new Uint8Array(8)},
          ),
        )
    }
    await schedule.until(ROUNDS_MS.at(-1)! + LISTEN_MS, done.signal)
  } finally {
    await link.close()
  }
  if (witness !== undefined) return {beyond: 'answers', witness}
  if (refused.size === asked.length) return spoken(guessed, 'refuses', 'it says itself that it has no way')
  return spoken(guessed, 'silent', `no answer from ${guessed ? 'its next hop' : asked.join(', ')}`)
}

/** The same of this host, as the gateway that it is: by its own routes, and the next hop on them. */
export async function askUpstream6(
  leg: string,
  destinations: readonly Ipv6[],
  world: World,
  signal: AbortSignal,
): Promise<Beyond> {
  if ((await world.forwards?.(leg, 6)) === false)
    return {beyond: 'refuses', witness: `this host does not forward IPv6 that comes in at ${leg}`}
  const guessed = destinations.length === 0
  const asked = guessed ? FAR_AWAY6.slice(0, 1) : destinations.slice(0, MOST_DESTINATIONS)
  const routes = await Promise.all(asked.map((destination) => world.routeTo(destination)))
  const open = routes.filter((route) => route !== undefined && route.interface !== leg && route.interface !== 'lo')
  if (open.length === 0) return spoken(guessed, 'refuses', `it has no IPv6 route beyond ${leg}`)
  const answered = guessed ? undefined : await world.echo?.(asked, signal)
  if (answered !== undefined) return {beyond: 'answers', witness: `${answered} answers this host`}
  const {gateway, interface: upstream, source} = open[0]!
  if (gateway === undefined || source === undefined) return {beyond: 'silent', witness: 'nobody beyond it answers'}
  const macs = await askNd(world, upstream, source, gateway)
  signal.throwIfAborted()
  return macs.length > 0
    ? {beyond: 'answers', witness: `its next hop ${gateway}${isLinkLocal(gateway) ? ` on ${upstream}` : ''} answers`}
    : {beyond: 'silent', witness: `no answer from its next hop ${gateway}`}
}
