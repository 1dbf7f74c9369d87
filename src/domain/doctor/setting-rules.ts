// Settings of the kernel that bite: each where it matters, on the interface where it matters (ip-sysctl.rst).
import type {DoctorFacts, DoctorInterface, Settings} from './facts.ts'
import {broken, type DoctorFinding, fine, wrong} from './finding.ts'
import {bridgesOf, legsOf, stationsOf} from './legs.ts'

/** Hundredths of a second; the kernel's default. */
const LOCKTIME = 100
const LOOSE = 2

/** `sysctl -w`; a dot in the name of an interface would be a step. */
const sysctl = (settings: readonly (readonly [path: string, value: number])[]): string =>
  `sysctl -w ${settings.map(([path, value]) => `${path.includes('.') ? path : path.replaceAll('/', '.')}=${value}`).join(' ')}`

const conf = (name: string, setting: string): string => `net/ipv4/conf/${name}/${setting}`
/** Of most settings the larger of the two counts. */
const larger = (all: Settings, {settings}: DoctorInterface, name: string): number =>
  Math.max(all[name] ?? 0, settings[name] ?? 0)
const names = (interfaces: readonly DoctorInterface[]): string => interfaces.map(({name}) => name).join(', ')
const distinct = (interfaces: readonly DoctorInterface[]): DoctorInterface[] => [...new Set(interfaces)]

export function settingRules(facts: DoctorFacts): readonly DoctorFinding[] {
  const found = [
    ...legRules(facts),
    ...redirectRule(facts),
    ...returnRule(facts),
    ...fluxRule(facts),
    ...locktimeRule(facts),
    ...bridgeRule(facts),
  ]
  return found.length > 0 ? found : [fine('settings', 'no setting of the kernel bites here')]
}

/** Of a host that is a gateway. */
function* legRules(facts: DoctorFacts): Iterable<DoctorFinding> {
  for (const {gateway, interface: leg} of legsOf(facts)) {
    const {name, up, carrier, settings} = leg
    const who = `${name}, the leg of gateway ${gateway.name},`
    if (!up) yield broken('leg-down', `${who} is down`, 'the gateway serves nobody', `ip link set ${name} up`)
    else if (!carrier) yield broken('leg-down', `${who} has no carrier`, 'its other end is down', null)
    if (settings.forwarding === 0)
      yield broken(
        'not-forwarding',
        `${who} does not forward`,
        'a VM that is switched to it loses its way out',
        sysctl([
          ['net/ipv4/ip_forward', 1],
          [conf(name, 'forwarding'), 1],
        ]),
      )
    if (larger(facts.all, leg, 'arp_ignore') >= 8)
      yield broken(
        'arp-ignore',
        `${who} answers no ARP (arp_ignore 8)`,
        'no VM finds the gateway',
        sysctl([
          [conf('all', 'arp_ignore'), 0],
          [conf(name, 'arp_ignore'), 0],
        ]),
      )
    if (larger(facts.all, leg, 'arp_accept') === 0 && settings.arp_accept !== null)
      yield wrong(
        'arp-accept',
        `${who} makes no entry from an announcement (arp_accept 0)`,
        'a VM that arrives and announces itself stays unknown to the gateway until it is asked for',
        sysctl([[conf(name, 'arp_accept'), 1]]),
      )
  }
}

/** A redirect makes this host send elsewhere than it was told (RFC 1122 section 3.2.2.2). A host takes either switch, a router both. */
function* redirectRule(facts: DoctorFacts): Iterable<DoctorFinding> {
  const on = distinct(stationsOf(facts).flatMap((each) => each.on)).filter(({settings}) => {
    const [all, own] = [facts.all.accept_redirects, settings.accept_redirects]
    return settings.forwarding === 1 ? all === 1 && own === 1 : all === 1 || own === 1
  })
  if (on.length === 0) return
  yield wrong(
    'accept-redirects',
    `ICMP redirects are accepted at ${names(on)}`,
    "what this host measures may leave by another gateway than the route says, after the other site's sent a redirect",
    sysctl(['all', ...on.map(({name}) => name)].map((name) => [conf(name, 'accept_redirects'), 0])),
  )
}

/** RFC 3704: strict drops what comes in by another interface than the way back leaves by. Loose wins over strict. */
function* returnRule(facts: DoctorFacts): Iterable<DoctorFinding> {
  const routers = legsOf(facts).length > 0
  const several = stationsOf(facts).flatMap(({on}) => on)
  const matters = routers
    ? facts.interfaces.filter(({addresses, up}) => up && addresses.length > 0)
    : distinct(several).length > 1
      ? distinct(several)
      : []
  const strict = matters.filter((each) => larger(facts.all, each, 'rp_filter') === 1)
  if (strict.length === 0) return
  yield wrong(
    'rp-filter',
    `packets are dropped that come in elsewhere than by the way back (rp_filter 1) at ${names(strict)}`,
    routers
      ? 'a VM that has moved has its way out by one site and its way in by the other until both have moved'
      : 'answers that come in by another of them are lost',
    sysctl(strict.map(({name}) => [conf(name, 'rp_filter'), LOOSE])),
  )
}

/** Two interfaces on one segment, each answering for the other's address. */
function* fluxRule(facts: DoctorFacts): Iterable<DoctorFinding> {
  for (const {segment, on} of stationsOf(facts)) {
    const loose = on.filter(
      (each) => larger(facts.all, each, 'arp_ignore') < 1 || larger(facts.all, each, 'arp_announce') < 2,
    )
    if (on.length < 2 || loose.length === 0) continue
    yield wrong(
      'arp-flux',
      `${names(on)} are all on segment ${segment.name} and answer ARP for each other's addresses`,
      'neighbours learn the wrong MAC for an address, and a proof sees two stations for one',
      sysctl(
        loose.flatMap(({name}) => [[conf(name, 'arp_ignore'), 1] as const, [conf(name, 'arp_announce'), 2] as const]),
      ),
    )
  }
}

function* locktimeRule(facts: DoctorFacts): Iterable<DoctorFinding> {
  const on = distinct(stationsOf(facts).flatMap((each) => each.on)).filter(({locktime}) => (locktime ?? 0) > LOCKTIME)
  if (on.length === 0) return
  yield wrong(
    'locktime',
    `a neighbour entry withstands other answers for more than a second (locktime) at ${names(on)}`,
    'this host follows a moved gateway or VM that much later',
    sysctl(on.map(({name}) => [`net/ipv4/neigh/${name}/locktime`, LOCKTIME])),
  )
}

function* bridgeRule(facts: DoctorFacts): Iterable<DoctorFinding> {
  const bridges = bridgesOf(facts)
  if (bridges.length === 0 || facts.bridgeNetfilter !== 1) return
  yield wrong(
    'bridge-nf',
    `what ${names(bridges)} forwards passes this host's own IP filter too (bridge-nf-call-iptables 1)`,
    'rules for routed packets, and connection tracking, drop what a VM sends by another gateway than before',
    sysctl([['net/bridge/bridge-nf-call-iptables', 0]]),
  )
}
